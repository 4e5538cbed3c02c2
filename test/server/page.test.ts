import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type Served, serveTiny } from './served.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
/** Where pictures of the page go, for somebody to look at; none when absent. */
const PICTURES = process.env.ATB_TEST_PICTURES;

describe('the page', function () {
  this.timeout(120_000);

  it('is open, and runs nothing but its own script', async () => {
    const served = await serveTiny({ apiKeys: ['secret'] });
    try {
      for (const method of ['GET', 'HEAD']) {
        const answer = await fetch(served.address, { method });
        expect(answer.status).to.equal(200);
        expect(answer.headers.get('content-security-policy')).to.match(
          /^default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'; connect-src 'self';/,
        );
        expect(await answer.text()).to.not.match(/https?:\/\/(?!www\.w3\.org)|innerHTML/);
      }
      expect((await fetch(`${served.address}/v1/models`)).status).to.equal(401);
    } finally {
      await served.stop();
    }
  });

  it('is left out on request, and `/` still says that the server lives', async () => {
    const served = await serveTiny({ hasPage: false });
    try {
      expect(await (await fetch(served.address)).json()).to.deep.equal({ status: 'alive' });
      expect((await fetch(served.address, { method: 'HEAD' })).status).to.equal(200);
    } finally {
      await served.stop();
    }
  });

  describe('in a browser', () => {
    let served: Served;
    let browser: Browser;
    before(async function () {
      if (CHROMIUM === undefined) {
        console.log('      skipped: there is no Chromium (apt-get install chromium)');
        return this.skip();
      }
      served = await serveTiny({ apiKeys: ['secret'] });
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    });
    after(async () => {
      await browser?.close();
      await served?.stop();
    });

    /** The page after it has got its key, and what its console complained of. */
    async function open(
      width: number,
      scheme: 'light' | 'dark',
    ): Promise<{ page: Page; problems: string[] }> {
      const page = await browser.newPage({ viewport: { width, height: 760 }, colorScheme: scheme });
      const problems: string[] = [];
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('console', (message) => {
        // The browser reports the 401 by itself.
        if (message.type() === 'error' && !message.text().includes('401')) problems.push(message.text());
      });
      await page.goto(served.address);
      await page.waitForSelector('dialog[open]');
      await page.fill('#key', 'secret');
      await page.click('dialog button');
      await page.waitForSelector('#model option', { state: 'attached' });
      return { page, problems };
    }

    async function take(page: Page, name: string): Promise<void> {
      if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`) });
    }

    for (const [name, width, scheme] of [
      ['light', 1200, 'light'],
      ['dark', 1200, 'dark'],
      ['phone', 360, 'light'],
    ] as const)
      it(`chats: ${name}`, async () => {
        const { page, problems } = await open(width, scheme);
        await page.fill('#text', 'Once upon a time');
        await page.keyboard.press('Enter');
        await page.locator('article.assistant', { hasText: /.{6}/ }).waitFor();
        await page.locator('#send', { hasText: 'Send' }).waitFor();
        await page.waitForSelector('article.assistant small');
        await page.waitForSelector('polyline[points]:not([points=""])', { state: 'attached' });
        const isWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
        expect(isWide).to.equal(false);
        await take(page, name);
        expect(problems).to.deep.equal([]);
      });

    it('stops an answer, and the server its work on it', async () => {
      const { page, problems } = await open(1200, 'light');
      // The model would be done before a hand is at the button: here the button is pressed when the answer begins.
      await page.evaluate(`{
        const own = fetch;
        window.fetch = async (path, options) => {
          if (!options.body) return own(path, options);
          const body = { ...JSON.parse(options.body), n: 8, ignore_eos: true };
          const answer = await own(path, { ...options, body: JSON.stringify(body) });
          queueMicrotask(() => document.querySelector('#send').click());
          return answer;
        };
      }`);
      await page.fill('#text', 'Once');
      await page.keyboard.press('Enter');
      await page.waitForSelector('article.assistant');
      await page.locator('#send', { hasText: 'Send' }).waitFor();
      // The usage, which comes last, did not come.
      expect(await page.$('article.assistant small')).to.equal(null);
      expect(await page.$('article.failed')).to.equal(null);
      while (served.llm.stats.running > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      expect(served.llm.stats.running).to.equal(0);
      const metrics = await fetch(`${served.address}/metrics`, { headers: { 'x-api-key': 'secret' } });
      expect(await metrics.text()).to.match(/^vllm:request_failure_total\{model_name="tiny"\} 8$/m);
      expect(problems).to.deep.equal([]);
    });

    it('makes nodes of what a model writes, and HTML of nothing', async () => {
      const { page, problems } = await open(1200, 'light');
      const text = [
        ...['# Title', '', 'A **bold** `x<b>` *word* <img src=x onerror=alert(1)>', '', '- one', '- two'],
        ...['', '```js', 'let a = "<script>";', '```', 'end'],
      ].join('\n');
      await page.evaluate(`show('assistant', '').replaceChildren(...markdown(${JSON.stringify(text)}))`);
      const html = await page.$eval('article', (article) => article.innerHTML);
      expect(html).to.equal(
        [
          '<h2>Title</h2><p>A <strong>bold</strong> <code>x&lt;b&gt;</code> <em>word</em> &lt;img src=x onerror=alert(1)&gt;</p>',
          '<ul><li>one</li><li>two</li></ul><pre><code>let a = "&lt;script&gt;";</code></pre><p>end</p>',
        ].join(''),
      );
      await take(page, 'markdown');
      expect(problems).to.deep.equal([]);
    });
  });
});
