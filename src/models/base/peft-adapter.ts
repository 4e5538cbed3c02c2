import { type Field, field, flag, integer, only, positive } from '../../layers/config/index.js';

/** Nothing: what peft writes where an option is not used. */
const unused = (name: string): Field<null> => ({
  read(json) {
    const found = json.raw(name) ?? null;
    if (found === null || found === false) return null;
    if (typeof found === 'object' && Object.keys(found).length === 0) return null;
    return json.fail(
      `${name} must be absent, null, false or empty: nothing else is supported; merge_and_unload() of peft makes one model of both`,
    );
  },
});

const allUnused = (...names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, unused(name)]));

/** Keys and defaults of LoraConfig of peft, but for what an adapter is of. */
export const LORA_FIELDS = {
  kind: field('peft_type', only('LORA'), 'LORA'),
  rank: field('r', integer(1, 10_000), 8),
  alpha: field('lora_alpha', positive(1e6), 8),
  hasRootScale: field('use_rslora', flag, false),
  bias: field('bias', only('none'), 'none'),
  ...allUnused(
    ...['use_dora', 'use_qalora', 'lora_bias', 'modules_to_save', 'rank_pattern', 'alpha_pattern'],
    ...['layer_replication', 'target_parameters', 'trainable_token_indices', 'megatron_config'],
  ),
};

/** The same for an adapter that a family has, which is of all its layers; `target_modules` says of which of their products. */
export const peftFields = {
  ...LORA_FIELDS,
  ...allUnused('fan_in_fan_out', 'layers_to_transform', 'layers_pattern', 'exclude_modules'),
};

/** Its keys that change no result. */
export const PEFT_IRRELEVANT = [
  ...['task_type', 'auto_mapping', 'base_model_name_or_path', 'revision', 'inference_mode', 'peft_version'],
  ...['lora_dropout', 'init_lora_weights', 'megatron_core', 'loftq_config', 'eva_config', 'corda_config'],
  ...['runtime_config', 'qalora_group_size', 'arrow_config', 'ensure_weight_tying'],
];

/** What an adapter's result is multiplied by where it counts. */
export const adapterScale = ({
  alpha,
  rank,
  hasRootScale,
}: {
  readonly alpha: number;
  readonly rank: number;
  readonly hasRootScale: boolean;
}): number => alpha / (hasRootScale ? Math.sqrt(rank) : rank);
