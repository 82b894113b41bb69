// The program under test, on a free port of this machine and in a folder of its own, with what a page's address needs:
// links out of the mails, which it reads where a person would, at /mailbox.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export class Site {
    static async start(program, content, folder) {
        const site = new Site();
        const data = fs.mkdtempSync(path.join(folder, 'data-'));
        const port = await freePort();
        Object.assign(site, { program, content, folder, data, base: `http://127.0.0.1:${port}`, feeds: [] });
        site.settings = {
            SITE__BASE_URL: site.base,
            SITE__LISTEN: `127.0.0.1:${port}`,
            DATABASE__URL: `sqlite:${data}/verdicts.db`,
            MAIL__TRANSPORT: `mailbox:${data}/mailbox`,
        };
        await site.serve();
        return site;
    }

    get environment() {
        const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('VERDICTS_'));
        const own = Object.entries(this.settings).map(([name, value]) => [`VERDICTS_${name}`, value]);
        return Object.fromEntries([...inherited, ...own]);
    }

    async serve() {
        this.server = spawn(this.program, ['serve', '--role', 'web,deliver'], { cwd: this.data, env: this.environment, stdio: 'ignore' });
        await this.until('the program does not answer', () => fetch(`${this.base}/healthz`).catch(() => null));
    }

    async stop() {
        const ended = new Promise((resolve) => this.server.once('exit', resolve));
        this.server.kill();
        await ended;
    }

    /// Starts it again with other settings.
    async again(settings) {
        await this.stop();
        Object.assign(this.settings, settings);
        await this.serve();
    }

    run(...args) {
        execFileSync(this.program, args, { cwd: this.data, env: this.environment, stdio: ['ignore', 'ignore', 'inherit'] });
    }

    /// The same, with something on its standard input; what it prints.
    say(input, ...args) {
        return execFileSync(this.program, args, { cwd: this.data, env: this.environment, input, stdio: ['pipe', 'pipe', 'inherit'] }).toString();
    }

    write(name, text) {
        const file = path.join(this.data, name);
        fs.writeFileSync(file, text);
        return file;
    }

    /// Lets the panel change its mind about a tool of `catalogue`; the path of the tool's page.
    turnsAround(slug, catalogue) {
        this.run('catalog', 'import', this.write('turned.toml', catalogue.replace('verdict = "ship"', 'verdict = "skip"')));
        return `/tools/${slug}`;
    }

    /// Waits for the page of the newest mail to `address` whose subject begins so; its path.
    async mail(address, subject) {
        return this.until(`no mail ${subject} to ${address}`, async () => {
            const rows = (await this.text('/mailbox')).split('<tr>');
            const row = rows.find((row) => row.includes(`>${address}<`) && row.includes(`<bdi>${subject}`));
            return row && /href="([^"]+)"/.exec(row)[1];
        });
    }

    /// The path of that mail's link to `what`.
    async link(address, subject, what) {
        const page = await this.text(await this.mail(address, subject));
        const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, href]) => href.replaceAll('&#38;', '&').replaceAll('&amp;', '&'));
        const link = links.find((href) => href.startsWith(this.base + what));
        if (!link) throw new Error(`no link to ${what} in the mail ${subject}`);
        return link.slice(this.base.length);
    }

    async newestDigest() {
        return /href="(\/digests\/[^"]+)"/.exec(await this.text('/digests'))[1];
    }

    /// Keeps the feed as it is now.
    async feed(name) {
        const file = path.join(this.folder, `${name}.xml`);
        fs.writeFileSync(file, await this.text('/feed.xml'));
        this.feeds.push(file);
    }

    async text(where) {
        const answer = await fetch(this.base + where);
        if (!answer.ok) throw new Error(`GET ${where}: ${answer.status}`);
        return answer.text();
    }

    async until(complaint, ask) {
        for (let tries = 0; tries < 900; tries += 1) {
            const answer = await ask();
            if (answer) return answer;
            await sleep(100);
        }
        throw new Error(complaint);
    }
}

function freePort() {
    return new Promise((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}
