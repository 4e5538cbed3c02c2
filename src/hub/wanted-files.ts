/** Files that say how a model computes and what text it reads. */
const SETTINGS = /(?:^|\/)[\w.-]+\.(?:json|jinja|model|tiktoken)$/;
const TEXTS = /(?:^|\/)(?:merges|vocab)\.txt$|(?:^|\/)LICENSE[\w.]*$|^README\.md$/;
/** The same weights in other forms, and what trainers leave behind. */
const OTHERS =
  /^(?:onnx|openvino|coreml|original|gguf|runs|flax|tf)\/|(?:^|\/)(?:optimizer|scheduler|trainer_state|training_args)[\w.]*$/;

/**
 * The files of a repository that are needed to run it: settings, tokenizers, and one set of safetensors. Where Mistral's
 * `consolidated` weights lie beside the usual ones, the usual ones are enough.
 *
 * @param paths from the root of the repository, with forward slashes.
 */
export function wantedFiles(paths: readonly string[]): string[] {
  const isWeights = (path: string): boolean => path.endsWith('.safetensors') && !OTHERS.test(path);
  const weights = paths.filter(isWeights);
  const isConsolidated = (path: string): boolean => /(?:^|\/)consolidated/.test(path);
  const usual = weights.filter((path) => !isConsolidated(path));
  const chosen = usual.length > 0 ? usual : weights;
  const isSetting = (path: string): boolean =>
    (SETTINGS.test(path) || TEXTS.test(path)) &&
    !OTHERS.test(path) &&
    !(usual.length > 0 && isConsolidated(path));
  return [...paths.filter(isSetting), ...chosen];
}

/** A GGUF file of a repository, and the others of a model that was cut into several; none where it is not there. */
export function ggufFiles(paths: readonly string[], file: string): string[] {
  const [, stem, total] = /^(.*)-\d{5}-of-(\d{5})\.gguf$/i.exec(file) ?? [];
  if (stem === undefined) return paths.filter((path) => path === file);
  return paths.filter((path) => path.startsWith(`${stem}-`) && path.endsWith(`-of-${total}.gguf`));
}
