// Looks at mails with programs not written here; what allowed.json does not excuse is a fault, and so is an excuse that
// nothing needs any more.
//
//     node check.mjs FOLDER NAME...      FOLDER/NAME.html, and NAME.eml for SpamAssassin

import { execFileSync, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { caniemail } from 'caniemail';
import { HtmlValidate } from 'html-validate';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const [folder, ...names] = process.argv.slice(2);
const allowed = JSON.parse(fs.readFileSync(new URL('allowed.json', import.meta.url), 'utf8'));
const used = new Set();
let faults = 0;

/// Counts `what` as a fault of `name` unless the list of `tool` excuses it.
function judge(tool, name, what, detail = '') {
    const excuse = Object.keys(allowed[tool] ?? {}).find((pattern) => new RegExp(`^(?:${pattern})$`).test(what));
    if (excuse) {
        used.add(`${tool}: ${excuse}`);
        return false;
    }
    faults += 1;
    console.error(`${tool}: ${name}: ${what}${detail && `\n    ${detail}`}`);
    return true;
}

function sum(tool, name, found, refused) {
    console.log(`${tool.padEnd(14)} ${name.padEnd(13)} ${refused} faults, ${found - refused} excused`);
}

/// The checker guesses the language by chance: the same text gets the same guess.
const GUESSES = '-Dnu.validator.checker.langDetectionSeed=1';

function nu(name) {
    const jar = path.join(path.dirname(require.resolve('vnu-jar/package.json')), 'build/dist/vnu.jar');
    const run = spawnSync('java', [GUESSES, '-jar', jar, '--format', 'json', '--exit-zero-always', file(name, 'html')], { encoding: 'utf8', maxBuffer: 1 << 26 });
    if (run.status !== 0) throw new Error(`the Nu HTML checker did not run: ${run.stderr || run.error}`);
    const { messages } = JSON.parse(run.stderr);
    const refused = messages.filter((m) => judge('nu', name, m.message.replace(/[“”]/g, '"'), `line ${m.lastLine}: ${m.extract ?? ''}`));
    sum('nu', name, messages.length, refused.length);
}

async function validate(name) {
    const validator = new HtmlValidate({ root: true, extends: ['html-validate:recommended'] });
    const report = await validator.validateFile(file(name, 'html'));
    const messages = report.results.flatMap((result) => result.messages);
    const refused = messages.filter((m) => judge('html-validate', name, m.ruleId, `line ${m.line}: ${m.message}`));
    sum('html-validate', name, messages.length, refused.length);
}

/// Clients are those of most readers. Without support, and with a limit on it, are told apart in the list.
function clients(name) {
    const asked = ['gmail.*', 'outlook.windows', 'outlook.outlook-com', 'outlook.macos', 'apple-mail.*', 'yahoo.*', 'samsung-email.android'];
    const { issues } = caniemail({ clients: asked, html: fs.readFileSync(file(name, 'html'), 'utf8') });
    const found = new Map();
    for (const [kind, byClient] of [['without', issues.errors], ['limited', issues.warnings]]) {
        for (const [client, list] of byClient) {
            for (const issue of list) {
                const key = `${kind}: ${issue.title}`;
                found.set(key, (found.get(key) ?? new Set()).add(client));
            }
        }
    }
    const refused = [...found].filter(([what, where]) => judge('caniemail', name, what, [...where].join(', ')));
    sum('caniemail', name, found.size, refused.length);
}

async function eyes(browser, name) {
    for (const width of [600, 375, 320]) {
        for (const colorScheme of ['light', 'dark']) {
            const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
            await page.goto(`file://${file(name, 'html')}`);
            const where = `${name} at ${width} ${colorScheme}`;
            const wide = await page.evaluate(() => document.documentElement.scrollWidth);
            if (wide > width) judge('axe', where, `scrolls sideways: ${wide} px`);
            await page.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
            const { violations, passes } = await page.evaluate(() => window.axe.run());
            const refused = violations.filter((v) => judge('axe', where, v.id, v.nodes.map((n) => `${n.html} ${n.failureSummary}`).join('\n    ')));
            if (!passes.some((rule) => rule.id === 'color-contrast')) judge('axe', where, 'contrast was not looked at');
            sum('axe', `${name} ${width} ${colorScheme}`, violations.length, refused.length);
            await page.close();
        }
    }
}

/// Its own rules only: no look-ups, no learning, no settings of the machine's user.
function spam(name) {
    const most = ['digest', 'opening'].includes(name) ? -1.0 : 0.0;
    const home = fs.mkdtempSync(path.join(folder, 'spam-'));
    const out = execFileSync('spamassassin', ['-L', '-t', '-x', '--prefspath=/dev/null'], {
        input: fs.readFileSync(file(name, 'eml')), encoding: 'utf8', env: { ...process.env, HOME: home }, stdio: ['pipe', 'pipe', 'ignore'], maxBuffer: 1 << 26,
    });
    const details = out.slice(out.lastIndexOf('Content analysis details:'));
    const points = Number(/\((-?[0-9.]+) points/.exec(details)?.[1] ?? NaN);
    const rules = [...details.matchAll(/^ *(-?[0-9.]+) ([A-Z0-9_]+)/gm)].map(([, score, rule]) => `${rule} ${score}`);
    if (!(points <= most)) judge('spamassassin', name, `${points} points, at most ${most.toFixed(1)} wanted`, rules.join(', '));
    console.log(`${'spamassassin'.padEnd(14)} ${name.padEnd(13)} ${points} points: ${rules.join(', ')}`);
}

function file(name, ending) {
    return path.resolve(folder, `${name}.${ending}`);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
    for (const name of names) {
        console.log(`${'size'.padEnd(14)} ${name.padEnd(13)} ${fs.statSync(file(name, 'html')).size} bytes of HTML, ${fs.statSync(file(name, 'eml')).size} of mail`);
        nu(name);
        await validate(name);
        clients(name);
        await eyes(browser, name);
        spam(name);
    }
} finally {
    await browser.close();
}
for (const [tool, excuses] of Object.entries(allowed)) {
    for (const excuse of Object.keys(excuses)) {
        if (!used.has(`${tool}: ${excuse}`)) {
            faults += 1;
            console.error(`allowed.json: ${tool}: nothing needs ${JSON.stringify(excuse)} any more; take it out.`);
        }
    }
}
if (faults > 0) {
    console.error(`${faults} faults.`);
    process.exit(1);
}
