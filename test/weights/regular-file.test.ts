import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { openSafetensors } from '../../src/weights/safetensors-file.js';
import { failure, safetensorsBytes, someBytes, temporaryFolder } from './safetensors-writer.js';

const onlyPosix = process.platform === 'win32' ? it.skip : it;

describe('a weight file', () => {
  const path = temporaryFolder();

  it('is refused when it is absent, or its path means nothing', async () => {
    for (const name of ['absent', 'a\0b', 'x'.repeat(5000)]) {
      await failure('WEIGHT_FILE_UNREADABLE', () => openSafetensors(path(name)));
    }
  });

  it('is refused when it is a directory', async () => {
    const error = await failure('WEIGHT_FILE_NOT_REGULAR', () => openSafetensors(path()));
    expect(error.detail.found).to.equal('a directory');
  });

  onlyPosix('is refused when it is a FIFO that nobody writes to, without waiting for it', async () => {
    execFileSync('mkfifo', [path('fifo')]);
    const error = await failure('WEIGHT_FILE_NOT_REGULAR', () => openSafetensors(path('fifo')));
    expect(error.detail.found).to.equal('a FIFO');
  });

  onlyPosix('is refused when it is a device', async () => {
    for (const device of ['/dev/zero', '/dev/null']) {
      const error = await failure('WEIGHT_FILE_NOT_REGULAR', () => openSafetensors(device));
      expect(error.detail.found).to.equal('a device');
    }
  });

  onlyPosix('is refused when it is a socket', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path('socket'), resolve));
    const error = await failure('WEIGHT_FILE_NOT_REGULAR', () => openSafetensors(path('socket')));
    expect(error.detail.found).to.equal('a socket');
    await new Promise((resolve) => server.close(resolve));
  });

  describe('behind a symbolic link', () => {
    const bytes = safetensorsBytes([{ name: 'w', dtype: 'U8', shape: [4], data: someBytes(4) }]);

    const hub = 'hub/models--a--b';

    before(() => {
      for (const file of ['m/sub/real', 'm2/real', `${hub}/blobs/0a`, 'other/blobs/0a']) {
        mkdirSync(dirname(path(file)), { recursive: true });
        writeFileSync(path(file), bytes);
      }
      mkdirSync(path(hub, 'snapshots/r'), { recursive: true });
    });

    async function open(link: string, target: string): Promise<number> {
      symlinkSync(target, path(link));
      return (await openSafetensors(path(link))).tensors.size;
    }

    onlyPosix('opens when the target is below the model directory', async () => {
      expect(await open('m/inside.safetensors', 'sub/real')).to.equal(1);
      expect(await open('m/twice.safetensors', 'inside.safetensors')).to.equal(1);
    });

    onlyPosix('opens when the target is a blob of the Hugging Face cache', async () => {
      expect(await open(`${hub}/snapshots/r/model.safetensors`, '../../blobs/0a')).to.equal(1);
      expect(await open('m/hub.safetensors', path(hub, 'blobs/0a'))).to.equal(1);
    });

    onlyPosix('is refused when the target is anywhere else', async () => {
      const outside = ['../m2/real', path('m2/real'), '../other/blobs/0a', '/etc/passwd', '/dev/zero', '..'];
      for (const [index, target] of outside.entries()) {
        const error = await failure('WEIGHT_FILE_LINK_REFUSED', () => open(`m/out${index}`, target));
        expect(error.detail.root).to.equal(path('m'));
      }
    });

    onlyPosix('is refused when it leads nowhere or to itself', async () => {
      await failure('WEIGHT_FILE_UNREADABLE', () => open('m/nowhere', 'absent'));
      await failure('WEIGHT_FILE_UNREADABLE', () => open('m/loop', 'loop'));
      await failure('WEIGHT_FILE_NOT_REGULAR', () => open('m/folder', 'sub'));
    });
  });
});
