import { compileGuide, type Guide } from '../../src/guided/index.js';
import { createEngine, type NativeEngine } from '../../src/native/index.js';

/** An engine whose tokens are the 256 bytes, and one that ends a text. */
export async function byteEngine(): Promise<NativeEngine> {
  const engine = createEngine({ threads: 1 });
  await engine.setVocabulary({
    bytes: Uint8Array.from({ length: 256 }, (_, byte) => byte),
    offsets: Int32Array.from({ length: 258 }, (_, token) => Math.min(token, 256)),
    ends: Int32Array.of(256),
  });
  return engine;
}

/** What tells whether a guide allows a text. */
export async function judge(engine: NativeEngine, guide: Guide): Promise<(text: string) => boolean> {
  const grammar = await engine.compileGrammar(compileGuide(guide));
  return (text) => engine.grammarAllows(grammar, Buffer.from(text));
}
