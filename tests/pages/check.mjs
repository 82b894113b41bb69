// Looks at every page with programs not written here. Nothing is excused.
//
//     node check.mjs PROGRAM CONTENT FOLDER      FOLDER/NAME.html and NAME.xml are what was looked at

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { everyPage } from './pages.mjs';
import { Site } from './site.mjs';

const require = createRequire(import.meta.url);
const [program, content, folder] = process.argv.slice(2);
let faults = 0;

function fault(tool, name, what) {
    faults += 1;
    console.error(`${tool}: ${name}: ${what}`);
}

/// Asks for a page as a browser does, by its address or by a form.
async function open(tab, site, { name, path: where, post, status = 200 }) {
    let answer;
    if (post) {
        await tab.goto(`${site.base}/robots.txt`);
        [answer] = await Promise.all([
            tab.waitForNavigation(),
            tab.evaluate(([action, fields]) => {
                const form = document.body.appendChild(Object.assign(document.createElement('form'), { method: 'post', action }));
                for (const [name, value] of Object.entries(fields)) {
                    form.append(Object.assign(document.createElement('input'), { type: 'hidden', name, value }));
                }
                form.submit();
            }, [where, post]),
        ]);
    } else {
        answer = await tab.goto(site.base + where);
    }
    if (answer.status() !== status) fault('status', name, `${answer.status()}, expected ${status}`);
    return answer.text();
}

/// axe-core in both schemes, the narrow one at 320 px (WCAG 2.2, 1.4.10); no page is wider than its window.
async function eyes(tab, name) {
    for (const [width, colorScheme] of [[1280, 'light'], [320, 'dark'], [320, 'light'], [1280, 'dark']]) {
        await tab.emulateMedia({ colorScheme });
        await tab.setViewportSize({ width, height: 900 });
        const where = `${name} at ${width} ${colorScheme}`;
        const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) fault('width', where, `scrolls sideways: ${wide} px`);
        if ((width === 320) !== (colorScheme === 'dark')) continue;
        // Colours on their way from one scheme to the other are nobody's.
        await tab.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished)));
        if (!(await tab.evaluate(() => 'axe' in window))) await tab.addScriptTag({ path: require.resolve('axe-core/axe.min.js') });
        const { violations, passes } = await tab.evaluate(() => window.axe.run());
        for (const { id, nodes } of violations) {
            fault('axe', where, `${id}\n    ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n    ')}`);
        }
        if (!passes.some((rule) => rule.id === 'color-contrast')) fault('axe', where, 'contrast was not looked at');
    }
}

const jar = path.join(path.dirname(require.resolve('vnu-jar/package.json')), 'build/dist/vnu.jar');

/// The checker guesses the language by chance: the same text gets the same guess.
const GUESSES = '-Dnu.validator.checker.langDetectionSeed=1';

function nu(files) {
    const run = spawnSync('java', [GUESSES, '-jar', jar, '--format', 'json', '--exit-zero-always', ...files], { encoding: 'utf8', maxBuffer: 1 << 26 });
    if (run.status !== 0) throw new Error(`the Nu HTML checker did not run: ${run.stderr || run.error}`);
    for (const { url, lastLine, message, extract } of JSON.parse(run.stderr).messages) {
        fault('nu', path.basename(url), `line ${lastLine}: ${message}\n    ${extract ?? ''}`);
    }
}

/// jing comes with the Nu HTML checker, which is built on it.
function atom(file) {
    const jing = 'nu.validator.vendor.thaiopensource.relaxng.util.Driver';
    const run = spawnSync('java', ['-cp', jar, jing, '-c', new URL('atom.rnc', import.meta.url).pathname, file], { encoding: 'utf8' });
    if (run.error) throw new Error(`jing did not run: ${run.error}`);
    if (run.status !== 0) fault('jing', path.basename(file), run.stdout + run.stderr);
    const text = fs.readFileSync(file, 'utf8');
    const [head, ...entries] = text.split('<entry');
    // RFC 4287, 4.1.1 and 4.1.2: who wrote it is said of the feed, or of each entry. 4.2.6: an id is one thing's alone.
    if (!head.includes('<author>') && !entries.every((entry) => entry.includes('<author>'))) fault('atom', path.basename(file), 'no author');
    const ids = [...text.matchAll(/<id>([^<]*)<\/id>/g)].map(([, id]) => id);
    if (new Set(ids).size !== ids.length || ids.length !== entries.length + 1) fault('atom', path.basename(file), `ids: ${ids.join(' ')}`);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const site = await Site.start(program, content, folder);
const people = new Map();
const files = [];
try {
    for await (const page of everyPage(site)) {
        const who = page.as ?? 'a visitor';
        // The policy of the pages would keep axe-core out too.
        if (!people.has(who)) people.set(who, await browser.newContext({ bypassCSP: true }));
        const tab = await people.get(who).newPage();
        const file = path.join(folder, `${page.name}.html`);
        fs.writeFileSync(file, await open(tab, site, page));
        files.push(file);
        await eyes(tab, page.name);
        await tab.close();
    }
} finally {
    await browser.close();
    await site.stop();
}
nu(files);
site.feeds.forEach(atom);
console.log(`${files.length} pages, ${site.feeds.length} feeds, ${faults} faults.`);
process.exitCode = faults > 0 ? 1 : 0;
