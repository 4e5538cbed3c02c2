import type { ErrorCode } from '../../src/errors.js';
import { someBytes, withHeader } from './safetensors-writer.js';

/** Why the file is refused, its bytes, and pieces that the message must contain. */
type Refusal = readonly [title: string, bytes: Buffer, ...says: string[]];

const NONE = '"dtype":"U8","shape":[0],"data_offsets":[0,0]';

/** One tensor "w" over 12 bytes. */
function entry(fields: string): Buffer {
  return withHeader(`{"w":{${fields}}}`, someBytes(12));
}

function sized(shape: string, dtype = 'BF16', offsets = '[0,12]'): Buffer {
  return entry(`"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}`);
}

/** Tensors "a" and "b" of bytes at the given offsets, over 8 bytes. */
function pair(...[a, b]: readonly [begin: number, end: number][]): Buffer {
  const member = ([begin, end]: readonly [number, number] = [0, 0]): string =>
    `{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;
  return withHeader(`{"a":${member(a)},"b":${member(b)}}`, someBytes(8));
}

/** A header length, true or not, and what follows it. */
function claim(length: bigint, rest = '{}'): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(length);
  return Buffer.concat([bytes, Buffer.from(rest)]);
}

function raw(...bytes: readonly number[]): Buffer {
  return withHeader(Buffer.from(bytes));
}

const json = withHeader;
const shapeOf = (shape: string): Buffer => withHeader(`{"a":{"dtype":"U8","shape":${shape}}}`);
const metadata = (value: string): Buffer => withHeader(`{"__metadata__":${value}}`);
const ten = [...'0123456789', '0'].map((name) => `"t${name}":{${NONE}}`);

export const REFUSED_FILES: Readonly<Partial<Record<ErrorCode, readonly Refusal[]>>> = {
  WEIGHT_FILE_TRUNCATED: [
    ['empty', Buffer.alloc(0), 'header length', 'byte 8', 'has 0'],
    ['of 7 bytes', Buffer.alloc(7)],
    ['with a header one byte longer than the file', claim(3n), 'its header ends at byte 11', 'has 10'],
    ['with a tensor behind its end', sized('[7]', 'BF16', '[0,14]'), 'tensor "w"'],
  ],
  WEIGHT_FILE_HEADER_LENGTH: [
    ['with a header of 0 bytes', claim(0n), 'found 0'],
    ['with a header of 1 byte', claim(1n)],
    ['with a header of 100 MB and a byte', claim(100_000_001n)],
    ['with a header of 2^63 bytes', claim(2n ** 63n), '9223372036854775808'],
    ['with a header of 2^64 - 1 bytes', claim(2n ** 64n - 1n)],
    ['with a header whose end wraps around', claim(2n ** 64n - 7n)],
    ['that is a web page', Buffer.from('<!DOCTYPE html><html>'), '<!DOCTYP'],
  ],
  WEIGHT_FILE_JSON: [
    ['with a list as header', json('[]'), 'byte 8', '"{"'],
    ['with a blank before the header', json(' {}')],
    ['with a byte-order mark', json('\ufeff{}'), '0xef'],
    ['with an unfinished object', json('{"a"'), 'the end'],
    ['with an unfinished string', json('{"a')],
    ['with an escape at the end', json('{"a\\')],
    ['with text after the header', json('{}{}'), 'byte 10'],
    ['with zeros after the header', json('{}\0\0'), '0x00'],
    ['with a comma too many', json(`{"a":{${NONE}},}`)],
    ['with a comma missing', json(`{"a":{${NONE}} "b":{${NONE}}}`)],
    ['with a colon missing', json(`{"a"{${NONE}}}`)],
    ['with single quotes', json("{'a':1}")],
    ['with a leading zero', shapeOf('[01]')],
    ['with a lonely minus', shapeOf('[-]')],
    ['with a number that ends in a point', shapeOf('[1.]')],
    ['with a plus', shapeOf('[+1]')],
    ['with a word that JSON does not know', json('{"a":nil}')],
    ['with a comment', json('{/**/}')],
    ['with an unknown escape', json('{"\\x41":1}'), 'escape'],
    ['with half an escape', json('{"\\u12":1}')],
    ['with half a surrogate pair', json(`{"\\ud800":{${NONE}}}`), 'surrogate'],
    ['with a control character in a name', json('{"a\u0001":1}'), '0x01'],
    ['with a line break in a name', json('{"a\n":1}')],
    ['with UTF-8 outside of strings', json('{é}')],
  ],
  WEIGHT_FILE_UTF8: [
    ['with a byte that UTF-8 never has', raw(0x7b, 0x22, 0xff, 0x22), 'byte 10'],
    ['with an overlong form of UTF-8', raw(0x7b, 0x22, 0xc0, 0xaf, 0x22)],
    ['with an encoded surrogate', raw(0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22)],
    ['with half a character', raw(0x7b, 0x22, 0xc3, 0x22)],
  ],
  WEIGHT_FILE_DUPLICATE_KEY: [
    ['with the same tensor twice', json(`{"a":{${NONE}},"a":{${NONE}}}`), '"a"'],
    ['with the same tensor twice, once escaped', json(`{"a":{${NONE}},"\\u0061":{${NONE}}}`)],
    ['with the first of many tensors twice', json(`{${ten}}`), '"t0"'],
    ['with the metadata twice', json('{"__metadata__":{},"__metadata__":{}}')],
    ['with a metadata key twice', metadata('{"k":"1","k":"2"}')],
    ['with a field twice', entry(`${NONE},"dtype":"U8"`), '"dtype"'],
  ],
  WEIGHT_FILE_TOO_DEEP: [
    ['nested a hundred thousand lists deep', json(`{"a":${'['.repeat(100_000)}`)],
    ['nested deep in the metadata', metadata(`{"a":${'[['.repeat(9)}`)],
  ],
  WEIGHT_FILE_METADATA: [
    ['with a list as metadata', metadata('["a"]'), 'a list'],
    ['with null as metadata', metadata('null'), 'null'],
    ['with a number in the metadata', metadata('{"k":1.5}'), '"k"', '1.5'],
    ['with an object in the metadata', metadata('{"k":{}}')],
  ],
  WEIGHT_FILE_ENTRY: [
    ['nested a hundred thousand objects deep', json('{"a":'.repeat(100_000))],
    ['with a number as entry', json('{"w":1}'), '"w"', 'an object', 'found 1'],
    ['with an empty entry', json('{"w":{}}'), '"dtype"', 'nothing'],
    ['without a shape', entry('"dtype":"U8","data_offsets":[0,12]'), '"shape"'],
    ['without offsets', entry('"dtype":"U8","shape":[12]'), '"data_offsets"'],
    ['with a field that nobody knows', entry(`${NONE},"strides":[1]`), '"strides"'],
    ['with a number as dtype', entry('"dtype":3'), '"dtype"', 'found 3'],
    ['with a string as shape', shapeOf('"12"'), '"shape"'],
    ['with an object as shape', shapeOf('{}')],
    ['with strings as sizes', sized('["6"]'), '"6"'],
    ['with true as a size', sized('[true]'), 'true'],
    ['with null as a size', sized('[null]')],
    ['with a list as a size', sized('[[6]]')],
    ['with a negative size', sized('[-6,-1]'), '-6'],
    ['with minus nothing as a size', sized('[-0]'), '-0'],
    ['with a fraction as a size', sized('[6.0]'), '6.0'],
    ['with an exponent in a size', sized('[6e0]'), '6e0'],
    ['with 2^53 as a size', sized('[9007199254740992]'), '9007199254740992'],
    ['with 2^64 + 6 as a size', sized('[18446744073709551622]')],
    ['with a size of a million digits', sized(`[${'9'.repeat(1_000_000)}]`)],
    ['with nine axes', sized('[1,1,1,1,1,1,1,1,6]'), 'at most 8'],
    ['with one offset', sized('[6]', 'BF16', '[0]'), 'two integers'],
    ['with three offsets', sized('[6]', 'BF16', '[0,12,12]')],
    ['with a negative offset', sized('[6]', 'BF16', '[-12,0]'), '-12'],
    ['with offsets in reverse', sized('[6]', 'BF16', '[12,0]'), '[12, 0]'],
  ],
  WEIGHT_FILE_SHAPE: [
    ['with a shape whose product wraps to 4', sized('[4194305,4194305,211106198978564]'), '2^53'],
    ['with a shape whose product wraps to 0', sized('[4294967296,4294967296]', 'U8', '[0,0]')],
    ['with a shape that overflows before a zero', sized('[4294967296,4294967296,0]', 'U8', '[0,0]')],
    ['with a shape that overflows after a zero', sized('[0,4294967296,4294967296]', 'U8', '[0,0]')],
    ['with a shape whose bytes overflow', sized('[4503599627370496]', 'F64')],
    ['with half a byte', sized('[3]', 'F4', '[0,1]'), 'whole bytes'],
  ],
  WEIGHT_FILE_DTYPE: [
    ['with a dtype that nobody knows', sized('[6]', 'BF17'), '"w"', '"BF17"', 'BF16'],
    ['with a dtype in small letters', sized('[6]', 'bf16')],
    ['with a dtype named like a member of every object', sized('[6]', 'constructor')],
  ],
  WEIGHT_FILE_SIZE_MISMATCH: [
    ['with fewer bytes than the shape needs', sized('[7]'), '"w"', '[7]', 'takes 14', 'span 12'],
    ['with more bytes than the shape needs', sized('[5]')],
    ['with bytes for a tensor without elements', sized('[0,6]')],
  ],
  WEIGHT_FILE_TRAILING_BYTES: [
    ['with bytes that belong to no tensor', Buffer.concat([sized('[6]'), Buffer.alloc(1)])],
    ['with data and no tensor', withHeader('{}', someBytes(1))],
  ],
  WEIGHT_FILE_OVERLAP: [
    ['with tensors that overlap', pair([0, 5], [4, 8]), '"b"', 'offset 5, found 4'],
    ['with tensors that share their bytes', pair([0, 8], [0, 8])],
    ['with a tensor inside another', pair([0, 8], [3, 5])],
    ['with an empty tensor inside another', pair([0, 8], [3, 3])],
  ],
  WEIGHT_FILE_HOLE: [
    ['with a hole between tensors', pair([0, 4], [5, 8]), '"b"', 'offset 4, found 5'],
    ['with a hole before the first tensor', sized('[5]', 'BF16', '[2,12]')],
    ['with an empty tensor behind its end', pair([0, 8], [9, 9])],
    ['with a tensor far behind its end', sized('[6]', 'BF16', '[9007199254740979,9007199254740991]')],
  ],
  WEIGHT_FILE_LFS_POINTER: [
    [
      'when a Git-LFS pointer stands in its place',
      Buffer.from(
        `version https://git-lfs.github.com/spec/v1\noid sha256:${'a'.repeat(64)}\nsize 2471645608\n`,
      ),
      'git lfs pull',
      '2471645608',
    ],
  ],
};
