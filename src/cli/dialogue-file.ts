import { refuseRequest } from '../errors.js';
import type { ChatMessage } from '../tokenizer/chat-template.js';
import { parseWritten } from '../tokenizer/written-numbers.js';
import { readText } from './read-text.js';

const FLAG = '--input_file';

/**
 * The dialogues of a file: one as JSON per line, or one JSON array of all of them, or of the messages of one. Messages
 * are as OpenAI's clients write them: content may be a text, a list of parts, null or absent.
 * @throws REQUEST_INVALID naming the line
 */
export function readDialogueFile(file: string): ChatMessage[][] {
  const text = readText(FLAG, file);
  const dialogues = fromWhole(text) ?? fromLines(text);
  if (dialogues.length === 0)
    refuseRequest(FLAG, 'a file with at least one dialogue', `${file}, which is empty`);
  return dialogues;
}

function fromWhole(text: string): ChatMessage[][] | undefined {
  let value: unknown;
  try {
    value = parseWritten(text);
  } catch {
    // Several lines of JSON are no JSON.
    return undefined;
  }
  if (isDialogue(value)) return value.length > 0 ? [value] : [];
  if (Array.isArray(value) && value.every(isDialogue)) return value;
  return refuseRequest(FLAG, 'dialogues, each a list of {"role","content"}', text);
}

function fromLines(text: string): ChatMessage[][] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = parseWritten(line);
    } catch {
      refuseRequest(FLAG, `valid JSON in line ${index + 1}`, line);
    }
    return isDialogue(value)
      ? [value]
      : refuseRequest(FLAG, `a list of {"role","content"} in line ${index + 1}`, line);
  });
}

function isDialogue(value: unknown): value is ChatMessage[] {
  return Array.isArray(value) && value.every(isMessage);
}

function isMessage(message: unknown): message is ChatMessage {
  if (typeof message !== 'object' || message === null || !('role' in message)) return false;
  const content = 'content' in message ? message.content : undefined;
  const isContent =
    content === undefined || content === null || typeof content === 'string' || Array.isArray(content);
  return typeof message.role === 'string' && isContent;
}
