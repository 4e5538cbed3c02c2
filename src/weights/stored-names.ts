/** What torch.compile, FSDP, activation checkpointing and Lightning put into names, at any depth. */
const WRAPPING_MODULES =
  /(?<=^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\./g;
/** What DataParallel, DDP and DeepSpeed (`module.`) and peft (`base_model.model.`) put before names. */
const WRAPPING_PREFIX = /^(?:module\.|base_model\.model\.)+/;

/** The name that a tensor had before training wrapped its model. */
export const unwrappedName = (name: string): string =>
  name.replace(WRAPPING_MODULES, '').replace(WRAPPING_PREFIX, '');

/** What BERT's first checkpoints, made by TensorFlow, call the weight and the bias of a norm. */
const TENSORFLOW_NAMES: Readonly<Record<string, string>> = { gamma: 'weight', beta: 'bias' };

const presentName = (name: string): string =>
  unwrappedName(name).replace(/(?<=LayerNorm\.)(gamma|beta)$/, (part) => TENSORFLOW_NAMES[part] ?? part);

/**
 * Under which name the files hold what a model asks for. The name itself counts first. Names that training wrapped are
 * found unwrapped, those that TensorFlow gave to norms by the present ones. A checkpoint of the bare model, none of whose names begins with the model's first part (`model.`), is
 * found without that part, as transformers finds it by `base_model_prefix`.
 */
export class StoredNames {
  /** Stored names by their unwrapped ones, where these differ; undefined for what would be two tensors. */
  readonly #unwrapped = new Map<string, string | undefined>();
  readonly #names: ReadonlySet<string>;
  readonly #firstParts = new Set<string>();

  /** `aliases`: further names of what is stored, each with the name under which it is. */
  constructor(
    names: Iterable<string>,
    private readonly aliases: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#names = new Set(names);
    for (const name of this.#names) {
      const bare = presentName(name);
      this.#firstParts.add(bare.slice(0, bare.indexOf('.')));
      if (bare !== name) this.#unwrapped.set(bare, this.#unwrapped.has(bare) ? undefined : name);
    }
  }

  find(asked: string): string | undefined {
    return this.#stored(asked) ?? this.#ofBareModel(asked);
  }

  /**
   * A name that is the same but for its prefix. A model that was saved without its head, or inside another model, has the same
   * tensors under names that begin otherwise.
   */
  nearest(name: string): string | undefined {
    for (const known of this.#names)
      if (known.endsWith(`.${name}`) || name.endsWith(`.${known}`)) return known;
    return undefined;
  }

  #stored(name: string): string | undefined {
    return this.#names.has(name) ? name : (this.#unwrapped.get(name) ?? this.aliases.get(name));
  }

  #ofBareModel(asked: string): string | undefined {
    const [first = '', ...others] = asked.split('.');
    // `lm_head.weight` stands beside the bare model, not within it.
    if (others.length < 2 || this.#firstParts.has(first)) return undefined;
    return this.#stored(others.join('.'));
  }
}
