// Walks through a sign-in as a browser does, with the cookies of each host.
//
//     node trial.mjs PROGRAM FOLDER

import { execFileSync, spawn } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [program, folder] = process.argv.slice(2);
const here = import.meta.dirname;
const [port, idPort] = [await freePort(), await freePort()];
const base = `http://127.0.0.1:${port}`;
const issuer = `http://127.0.0.1:${idPort}`;
const provider = { name: 'Judge', issuer, client_id: 'desk', client_secret: 'a secret: 100% + more/&=?', scopes: ['profile', 'email', 'groups'], create: true, allow: ['@office.example'], role_claim: 'groups', roles: { chiefs: 'owner', writers: 'writer' } };
const table = (value) => (Array.isArray(value) ? `[${value.map(table).join(', ')}]` : typeof value === 'object' ? `{ ${Object.entries(value).map(([key, inner]) => `${key} = ${table(inner)}`).join(', ')} }` : JSON.stringify(value));
const env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VERDICTS_'))),
    VERDICTS_SITE__BASE_URL: base, VERDICTS_SITE__LISTEN: `127.0.0.1:${port}`, VERDICTS_DATABASE__URL: `sqlite:${folder}/verdicts.db`,
    VERDICTS_MAIL__TRANSPORT: `mailbox:${folder}/mailbox`, VERDICTS_DESK__OIDC: table([provider]),
};
const children = [];
let said = 0;

function freePort() {
    return new Promise((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

function start(command, args) {
    const child = spawn(command, args, { cwd: folder, env, stdio: 'ignore' });
    children.push(child);
    return child;
}

const startProvider = async () => {
    const child = start(process.execPath, [path.join(here, 'provider.mjs'), String(idPort), `${base}/desk/oidc/judge/callback`]);
    await until(() => fetch(`${issuer}/.well-known/openid-configuration`).then((answer) => answer.ok, () => false));
    return child;
};

async function until(ask) {
    for (let tries = 0; tries < 300; tries += 1) {
        if (await ask()) return;
        await sleep(100);
    }
    throw new Error('waited in vain');
}

function holds(what, is, found) {
    if (!is) throw new Error(`${what}: ${found}`);
    said += 1;
    console.log(`ok: ${what}`);
}

class Browser {
    jars = {};

    async ask(url, fields) {
        const { host, origin } = new URL(url);
        const jar = (this.jars[host] ??= new Map());
        const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') };
        if (fields) Object.assign(headers, { origin, referer: url });
        const answer = await fetch(url, { method: fields ? 'POST' : 'GET', headers, body: fields && new URLSearchParams(fields), redirect: 'manual' });
        for (const cookie of answer.headers.getSetCookie()) {
            const [pair] = cookie.split(';');
            const at = pair.indexOf('=');
            if (at + 1 === pair.length) jar.delete(pair.slice(0, at));
            else jar.set(pair.slice(0, at), pair.slice(at + 1));
        }
        return answer;
    }

    /// Signs in at the provider as `login`; answers what the desk makes of it, and the prompts that there were.
    async signIn(login, at = '/desk/oidc/judge') {
        const page = await (await this.ask(base + at, {})).text();
        let url = /class="button" href="([^"]+)"/.exec(page)?.[1].replaceAll('&#38;', '&').replaceAll('&amp;', '&');
        if (!url) return { page };
        const prompts = [];
        for (let steps = 0; steps < 20; steps += 1) {
            let answer = await this.ask(url);
            if (url.startsWith(base)) return { answer, prompts };
            if (answer.status === 200) {
                const form = await answer.text();
                const prompt = /name="prompt" value="(\w+)"/.exec(form)[1];
                prompts.push(prompt);
                answer = await this.ask(new URL(/action="([^"]+)"/.exec(form)[1], url).href, prompt === 'login' ? { prompt, login, password: 'x' } : { prompt });
            }
            url = new URL(answer.headers.get('location'), url).href;
        }
        throw new Error(`went round in circles to ${url}`);
    }
}

const ends = (answer) => answer?.headers.get('location');

try {
    execFileSync(program, ['migrate'], { cwd: folder, env, stdio: 'ignore' });
    execFileSync(program, ['users', 'add', 'first@desk.example', '--role', 'owner', '--password-stdin'], { cwd: folder, env, input: 'violet tram eats ledger\n', stdio: ['pipe', 'ignore', 'inherit'] });
    let judge = await startProvider();
    start(program, ['serve', '--role', 'web']);
    await until(() => fetch(`${base}/healthz`).then((answer) => answer.ok, () => false));

    const ada = new Browser();
    let { answer, prompts } = await ada.signIn('ada+chiefs');
    holds('somebody new with a verified address and a role is signed in', ends(answer) === '/desk', `${answer?.status} ${ends(answer)} ${prompts}`);
    holds('as the role of their group', (await ada.ask(`${base}/desk/users`)).status === 200, 'no owner');
    const fields = { email: 'wil@desk.example', name: 'Wil', role: 'writer' };
    const sent = await ada.ask(`${base}/desk/users`, fields);
    holds('what changes users needs a recent sign-in', ends(sent)?.startsWith('/desk/confirm'), ends(sent));
    ({ answer, prompts } = await ada.signIn('ada+chiefs'));
    holds('the provider asks anew who it is', prompts.includes('login') && ends(answer) === '/desk', `${prompts} ${ends(answer)}`);
    holds('then it is recent', (await ada.ask(`${base}/desk/users`, fields)).status === 200, 'still not');

    const eve = await new Browser().signIn('eve+writers');
    holds('an address that is not verified gets no user', eve.answer.status === 422, eve.answer.status);
    const bo = await new Browser().signIn('bo+strangers');
    holds('somebody without a role gets no user', bo.answer.status === 422, bo.answer.status);
    const users = JSON.parse(execFileSync(program, ['--json', 'users', 'list'], { cwd: folder, env }).toString()).users;
    holds('only who may has a user', users.map((user) => user.email).sort().join() === 'ada@office.example,first@desk.example,wil@desk.example', JSON.stringify(users));

    const half = new Browser();
    const page = await (await half.ask(`${base}/desk/oidc/judge`, {})).text();
    const state = /state=([^"&]+)/.exec(page)[1];
    const back = await half.ask(`${base}/desk/oidc/judge/callback?state=${state}&error=access_denied&iss=${encodeURIComponent(issuer)}`);
    holds('a refusal at the provider is told', back.status === 422 && (await back.text()).includes('access_denied'), back.status);

    judge.kill();
    await new Promise((resolve) => judge.once('exit', resolve));
    const down = new Browser();
    const login = await down.ask(`${base}/desk/sign-in`, { email: 'first@desk.example', password: 'violet tram eats ledger' });
    holds('while the provider is down, a password signs in', login.status === 303, login.status);
    judge = await startProvider();
    ({ answer } = await new Browser().signIn('ada+chiefs'));
    holds('after it is back, it signs in', ends(answer) === '/desk', ends(answer));
    console.log(`${said} of ${said} hold`);
} finally {
    for (const child of children) child.kill();
}
