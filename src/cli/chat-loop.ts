import { type AnswerEvent, wholeEvents } from '../answers/answer-event.js';
import { type AnswerReader, answerFormat, answerReader } from '../answers/answer-reader.js';
import type { ChatSession } from '../engine/chat-session.js';
import type { LLM } from '../engine/llm.js';
import type { StreamOptions } from '../engine/llm-options.js';
import { takeMedia } from '../engine/media/parts.js';
import { AtbError, refuseRequest } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { reportFailure } from './failure.js';
import { OutputFile } from './output-file.js';
import { contentOf, type PicturePart, pictureOf } from './pictures.js';

export interface ChatLoopOptions {
  readonly system?: string | undefined;
  /** Of every answer. */
  readonly request: StreamOptions;
  /** One JSON object for each answer instead of its text. */
  readonly json: boolean;
  /** Show what a model writes to itself in dim letters; else it is not told apart. */
  readonly isStyled: boolean;
  readonly write: (text: string) => void;
}

// Of ECMA-48. That the terminal wants them, `isStyled` says.
const DIM = '\u001b[2m';
const NORMAL = '\u001b[22m';

const HELP = `/reset         forget what was said
/system TEXT   a new system message; what was said stays
/image FILE    a picture that the next message is about; several, one after another
/save FILE     write the dialogue as JSON messages, which run-pa --input_file reads
/help          this list
/exit          end
A line that begins with a space is said as it is. Ctrl-C stops an answer; twice, it ends the chat.
`;

export type Interruption = 'stops' | 'warns' | 'ends';

/** A dialogue line by line: what is said is answered as the answer comes, and lines that begin with `/` steer it. */
export class ChatLoop {
  readonly #llm: LLM;
  readonly #options: ChatLoopOptions;
  #session: ChatSession;
  #answer: AbortController | undefined;
  #isInterrupted = false;
  /** What the next message is about. */
  #pictures: readonly PicturePart[] = [];
  readonly #commands: ReadonlyMap<string, (argument: string) => void> = new Map([
    ['reset', () => this.#session.reset()],
    ['system', (text: string) => this.#renew(text)],
    ['image', (file: string) => this.#show(file)],
    ['save', (file: string) => this.#save(file)],
    ['help', () => this.#options.write(HELP)],
  ]);

  constructor(llm: LLM, options: ChatLoopOptions) {
    this.#llm = llm;
    this.#options = options;
    this.#session = llm.chat({ system: options.system });
  }

  /** A line that was typed. False: it ends the chat. What cannot be done is reported, and the chat goes on. */
  async line(text: string): Promise<boolean> {
    this.#isInterrupted = false;
    if (text === '/exit') return false;
    try {
      if (text.startsWith('/')) this.#command(text);
      else if (text.trim() !== '') await this.#say(text.trim());
    } catch (error) {
      reportFailure(error);
    }
    return true;
  }

  /** Ctrl-C: stops the answer that is under way; the second one, with no line between them, ends the chat. */
  interrupt(): Interruption {
    const isSecond = this.#isInterrupted;
    this.#isInterrupted = true;
    this.#answer?.abort();
    if (isSecond) return 'ends';
    return this.#answer ? 'stops' : 'warns';
  }

  #command(text: string): void {
    const [, name = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(text) ?? [];
    const command = this.#commands.get(name) ?? this.#refuse(name);
    command(argument);
  }

  #refuse(name: string): never {
    const nearest = nearestName(name, ['exit', ...this.#commands.keys()]);
    throw new AtbError('OPTION_UNKNOWN', {
      option: `/${name.slice(0, 64)}`,
      nearest: nearest && `/${nearest}`,
      help: '/help',
    });
  }

  #renew(system: string): void {
    const messages = this.#session.messages.filter(({ role }) => role !== 'system');
    this.#session = this.#llm.chat({ system: system || undefined, messages });
  }

  #show(file: string): void {
    this.#pictures = [...this.#pictures, pictureOf(file, '/image')];
  }

  #save(file: string): void {
    if (file === '') refuseRequest('/save', 'followed by the name of a file', undefined);
    const messages = JSON.stringify(this.#session.messages, undefined, 2);
    new OutputFile('/save', file).write(`${messages}\n`);
  }

  async #say(text: string): Promise<void> {
    const { json, write, request } = this.#options;
    const content = contentOf(text, this.#pictures);
    this.#pictures = [];
    const answer = new AbortController();
    this.#answer = answer;
    const reader = this.#reader(content);
    const whole = { reasoning: '', content: '' };
    const print = (events: readonly AnswerEvent[]): void => {
      for (const event of wholeEvents(events)) {
        if (event.kind === 'tool-call') continue;
        whole[event.kind === 'text' ? 'content' : 'reasoning'] += event.text;
        if (!json) write(this.#styled(event.kind, event.text));
      }
    };
    let isStopped = false;
    try {
      for await (const { text } of this.#session.send(
        { role: 'user', content },
        { ...request, signal: answer.signal },
      ))
        print(reader.push(text));
    } catch (error) {
      if (!answer.signal.aborted) throw error;
      isStopped = true;
    } finally {
      this.#answer = undefined;
    }
    print(reader.end());
    write(json ? `${JSON.stringify({ ...whole, isStopped })}\n` : '\n');
  }

  /** Reads answers as this model's template has them; many templates begin the reasoning themselves. */
  #reader(content: unknown): AnswerReader {
    const { inputBuilder } = this.#llm.text;
    const format = answerFormat(inputBuilder?.templateSource ?? '');
    const said = takeMedia([...this.#session.messages, { role: 'user', content }]).messages;
    const prompt = format.reasoning && inputBuilder?.renderChatTemplate(said, this.#options.request.template);
    return answerReader(format, { mayCall: false, prompt });
  }

  #styled(kind: 'text' | 'reasoning', text: string): string {
    return kind === 'reasoning' && this.#options.isStyled ? `${DIM}${text}${NORMAL}` : text;
  }
}
