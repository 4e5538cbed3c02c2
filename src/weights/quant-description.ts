import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { AtbError } from '../errors.js';
import { JsonScanner } from './json-scanner.js';
import { type LinearQuant, QUANT_DESCS, type QuantDesc } from './quantization.js';
import {
  type FileStamp,
  followAllowed,
  type LinkOptions,
  readExactly,
  readRegularFile,
} from './regular-file.js';
import { MAX_TENSORS } from './safetensors-header.js';

/** MindIE's name of the file that says how each tensor of a quantised checkpoint is stored. */
export const QUANT_DESCRIPTION_FILE = 'quant_model_description.json';
export const MODEL_TYPE_KEY = 'model_quant_type';
export const GROUP_SIZE_KEY = 'group_size';
export const FLOAT_TYPE = 'FLOAT';

const MAX_BYTES = 100_000_000;
/** The types take one level; other tools put nested objects beside them. */
const MAX_DEPTH = 8;
const KNOWN: readonly string[] = [...QUANT_DESCS, FLOAT_TYPE];

/** What a quantised checkpoint says about its tensors. */
export interface QuantDescription {
  readonly file: string;
  readonly stamp: FileStamp;
  /** `model_quant_type`, which names the checkpoint as a whole. Single tensors may be of other types. */
  readonly modelType: string | undefined;
  /** How the linear of this full name is stored. Throws WEIGHT_QUANT_TYPE for what this engine lacks. */
  quantOf(linear: string): LinearQuant | undefined;
}

/**
 * Reads a model directory's description; undefined when there is none, as of a float checkpoint.
 * Throws WEIGHT_FILE_* and WEIGHT_QUANT_DESCRIPTION.
 */
export async function readQuantDescription(
  directory: string,
  options: LinkOptions = {},
): Promise<QuantDescription | undefined> {
  const file = await followAllowed(join(directory, QUANT_DESCRIPTION_FILE), options);
  if (!(await lstat(file).catch(() => undefined))) return undefined;
  return readRegularFile(file, directory, async (handle, stamp) => {
    if (stamp.size > MAX_BYTES) {
      throw new AtbError('WEIGHT_INDEX_TOO_LARGE', { file, limitBytes: MAX_BYTES, foundBytes: stamp.size });
    }
    const bytes = Buffer.allocUnsafeSlow(stamp.size);
    await readExactly(handle, stamp, bytes, 0, stamp.size, 0);
    const { types, groupSize } = parse(file, bytes);
    const quantOf = (linear: string): LinearQuant | undefined => {
      const name = `${linear}.weight`;
      const found = types.get(name) ?? FLOAT_TYPE;
      if (!KNOWN.includes(found)) {
        throw new AtbError('WEIGHT_QUANT_TYPE', { file, name, found, supported: KNOWN });
      }
      if (found === FLOAT_TYPE) return undefined;
      if (found === 'W4A16' && groupSize === undefined) {
        throw new AtbError('WEIGHT_QUANT_DESCRIPTION', {
          file,
          field: GROUP_SIZE_KEY,
          expected: 'given beside W4A16',
          found: 'nothing',
        });
      }
      const desc = found as QuantDesc;
      return { desc, groupSize: desc === 'W4A16' ? (groupSize ?? 0) : 0, isStored: true };
    };
    return { file, stamp, modelType: types.get(MODEL_TYPE_KEY), quantOf };
  });
}

function parse(
  file: string,
  bytes: Buffer,
): { readonly types: ReadonlyMap<string, string>; readonly groupSize: number | undefined } {
  const scanner = new JsonScanner(file, bytes, 0, { depth: MAX_DEPTH, entries: MAX_TENSORS });
  const types = new Map<string, string>();
  let groupSize: number | undefined;
  if (scanner.kind() !== 'object') {
    throw new AtbError('WEIGHT_QUANT_DESCRIPTION', {
      file,
      field: 'description',
      expected: 'an object',
      found: scanner.skip(),
    });
  }
  scanner.object((key) => {
    const kind = scanner.kind();
    if (key === GROUP_SIZE_KEY && kind === 'number') {
      const found = scanner.integer();
      if (typeof found !== 'number' || found > 1 << 20) {
        const expected = 'an integer from 0 to 2^20';
        throw new AtbError('WEIGHT_QUANT_DESCRIPTION', { file, field: key, expected, found: String(found) });
      }
      // 0 is how other tools say that there are no groups.
      groupSize = found === 0 ? undefined : found;
    } else if (kind === 'string') {
      types.set(key, scanner.string());
    } else {
      scanner.skip();
    }
  });
  scanner.finish();
  return { types, groupSize };
}
