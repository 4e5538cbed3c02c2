import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { BaseAttention } from '../../src/layers/attention/base-attention.js';
import { BaseLayer } from '../../src/layers/decoder/base-layer.js';
import { FlashForCausalLMATB } from '../../src/models/base/flash-for-causal-lm-atb.js';
import { BaseRouter } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { familyModel } from './family-models.js';

/** What somebody who writes JavaScript makes of an abstract class: nothing reminds them of what is missing. */
// biome-ignore lint/suspicious/noExplicitAny: an abstract class as JavaScript sees it
const asJavaScript = (base: unknown) => base as new (...args: any[]) => object;

describe('a class of a model that lacks something', () => {
  const refusal = (make: () => unknown): string => {
    try {
      make();
    } catch (error) {
      expect(error).to.be.instanceOf(AtbError).with.property('code', 'MODEL_INCOMPLETE');
      return (error as AtbError).message;
    }
    throw new Error('nothing was thrown');
  };

  it('is named, with the method or the property', async () => {
    const { config } = await familyModel('llama');
    const weights = declaredWeights('bf16');
    class MyAttention extends asJavaScript(BaseAttention) {}
    class MyLayer extends asJavaScript(BaseLayer) {}
    class MyRouter extends asJavaScript(BaseRouter) {}
    expect(refusal(() => new MyAttention(0, config, weights))).to.match(/MyAttention .* method "buildGraph"/);
    expect(refusal(() => new MyLayer(0, weights))).to.match(/MyLayer .* method "buildLayerGraph"/);
    expect(refusal(() => new MyRouter('', {}))).to.match(/MyRouter .* method "getConfig"/);
  });

  it('is named, too, where properties are set after the base class was made', async () => {
    const { config } = await familyModel('llama');
    class Nameless extends asJavaScript(FlashForCausalLMATB) {}
    class Empty extends Nameless {
      readonly name = 'empty';
    }
    const built = (Model: typeof Nameless) => () =>
      (new Model(config, declaredWeights('bf16')) as FlashForCausalLMATB).buildGraph(PREFILL);
    expect(refusal(built(Nameless))).to.match(/Nameless .* property "name", a name/);
    expect(refusal(built(Empty))).to.match(/Empty .* property "model"/);
  });
});
