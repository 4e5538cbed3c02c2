import { join } from 'node:path';
import { AtbError } from '../../errors.js';
import { isObject } from '../../is-object.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  type ConfigOf,
  defineConfig,
  ENCODER_IRRELEVANT,
  encoder,
  type Field,
  field,
  LENGTH,
  only,
  rotaryConfig,
  SIZE,
} from '../../layers/config/index.js';
import { PostNormLayer } from '../../layers/decoder/decoder-layers.js';
import { classifierOf } from '../../layers/heads/row-heads.js';
import { NormedProjection } from '../../layers/norms/normed-projection.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import { headRows, lengths, rotary, tokenIds, tokenTypes } from '../../step-inputs/index.js';
import type { HfTokenizer } from '../../tokenizer/hf-tokenizer.js';
import { readModelJson } from '../../tokenizer/model-files.js';
import { classNameOf } from '../../tokenizer/tokenizer-class.js';
import type { Weights } from '../../weights/weights.js';
import { BERT_LAYER, bertEmbeddings, bertLayerParts, HARMLESS_IN_ENCODERS } from '../base/bert-parts.js';
import { EncoderModelATB, TextEncoderATB } from '../base/text-encoder-atb.js';

const embeddingSize: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) => field('embedding_size', SIZE, hiddenSize).read(json, {}),
};

/** Defaults of transformers 5.24, RoFormerConfig and RoFormerSinusoidalPositionalEmbedding. */
const ROFORMER_CONFIG = defineConfig({
  fields: {
    ...encoder({ typeVocabSize: 2, padTokenId: 0, biases: { qkv: true, dense: true, mlp: true } }),
    maxPositionEmbeddings: field('max_position_embeddings', LENGTH, 1536),
    embeddingSize,
    rope: rotaryConfig({ theta: 10_000, interleaved: true }),
    turnsValues: field('rotary_value', only(false), false),
  },
  irrelevant: ENCODER_IRRELEVANT,
});
type RoFormerConfig = ConfigOf<typeof ROFORMER_CONFIG>;

/** BERT whose queries and keys turn by their positions, which it has no table of (arXiv:2104.09864). */
export class FlashRoFormerModelATB extends TextEncoderATB<RoFormerConfig> {
  constructor(config: RoFormerConfig, weights: Weights) {
    const { embeddingSize, hiddenSize } = config;
    const inner = weights.at('roformer');
    const sizes = { ...config, hiddenSize: embeddingSize, positionTable: 0 };
    const { added, norm } = bertEmbeddings(inner.at('embeddings'), sizes);
    const { q, k, v, dense } = BERT_LAYER;
    super({
      name: 'roformer',
      config,
      stepInputs: [tokenIds, rotary(config.rope), tokenTypes, lengths, headRows],
      body: new EncoderModelATB(config, inner, {
        names: { embedding: 'embeddings.word_embeddings', layers: 'encoder.layer' },
        embeddingSize,
        added,
        norm:
          embeddingSize === hiddenSize
            ? norm
            : new NormedProjection(norm, inner, 'embeddings_project', { embeddingSize, hiddenSize }),
        layer(layerId, at) {
          const attention = new RotaryAttention(layerId, config, at, { qkv: { q, k, v }, dense });
          return new PostNormLayer(layerId, at, bertLayerParts(layerId, at, config, BERT_LAYER, attention));
        },
      }),
      head: classifierOf(weights, config, {
        ...{ dense: 'classifier.dense', out: 'classifier.out_proj', act: config.hiddenAct },
      }),
    });
  }
}

/** Files of RoFormer's own tokenizer are refused: it cuts words by jieba's dictionary before it looks them up. */
@RegisterRouter('roformer')
export class RoFormerRouter extends BaseRouter<RoFormerConfig> {
  override get about(): ModelAbout {
    const features = [
      'BERT, rotary positions',
      'embeddings of a width of their own',
      'no tokenizer with jieba',
    ];
    return { kind: 'encoder', features, reference: 'transformers' };
  }

  override get harmlessTensors(): readonly RegExp[] {
    return [...super.harmlessTensors, ...HARMLESS_IN_ENCODERS, /(^|\.)encoder\.embed_positions\./];
  }

  override async getTokenizer(
    ...args: Parameters<BaseRouter<RoFormerConfig>['getTokenizer']>
  ): Promise<HfTokenizer> {
    const found = await readModelJson(this.modelPath, 'tokenizer_config.json', this.links);
    const name = classNameOf(isObject(found) ? found : {});
    if (name !== 'BertTokenizer')
      throw new AtbError('TOKENIZER_INVALID', {
        file: join(this.modelPath, 'tokenizer_config.json'),
        problem:
          `tokenizer_class must be BertTokenizer, found ${name === '' ? 'none' : name}: RoFormerTokenizer cuts words ` +
          'by jieba, which is not built; use token ids alone',
      });
    return super.getTokenizer(...args);
  }

  protected getConfig(): RoFormerConfig {
    return ROFORMER_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashRoFormerModelATB {
    return FlashRoFormerModelATB;
  }
}
