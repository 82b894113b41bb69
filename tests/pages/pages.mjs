// Every page there is, in the order in which a site and two of its readers come to them. A page is
//
//     { name, path, post, status, as }
//
// `post`: the fields of a form that is sent to `path`; without it the page is looked at. `as`: a browser of one's own, with
// its cookies. What a page changes is changed when the next one is asked for.

import http from 'node:http';

/// More than fits: words that do not break, names from right to left, a panel that has not met.
const LONG = 'Unbreakable'.repeat(9);
/// Beside words that are in no language: the Nu HTML checker guesses a page's by its letters, and took one of these for Basque once.
const PROSE = `This tool is here to show what happens to a page when somebody writes a word that has no end. The rest of what is said about
it is plain English, as it would be on any other day: it does one thing, it costs what it says, and nobody has to read this twice.`;
const CATALOGUE = `
[[tools]]
slug = "long-words"
name = "${LONG.slice(0, 90)}"
category = "${LONG.slice(0, 40)}"
tagline = "${LONG}"
description = """${LONG.repeat(3)} ${PROSE}"""
url = "https://example.com/${LONG}"
pricing = "${LONG.slice(0, 90)}"
entry_price = "${LONG.slice(0, 50)}"
published_at = 2026-11-16T09:00:00Z
[[tools.reviews]]
reviewer = "Builder"
score = 100
verdict = "ship"
take = """${LONG.repeat(3)} ${PROSE}"""

[[tools]]
slug = "right-to-left"
name = "أداة تجريبية"
category = "Design"
tagline = "أداة مخترعة للتجربة"
description = """أداة مخترعة للتجربة."""
pricing = "Free"
entry_price = "Free"
published_at = 2026-11-16T09:00:00Z

[[comparisons]]
slug = "long-words-vs-right-to-left"
left = "long-words"
right = "right-to-left"
published_at = 2026-11-17T09:00:00Z
`;

export async function* everyPage(site) {
    yield { name: 'empty-front', path: '/' };
    yield { name: 'empty-digests', path: '/digests' };
    yield { name: 'empty-comparisons', path: '/comparisons' };
    yield { name: 'empty-tools', path: '/tools' };
    yield { name: 'empty-mailbox', path: '/mailbox' };
    await site.feed('empty-feed');
    // Over by the end: links expire by the minute.
    await site.again({ SIGNUP__CONFIRM_WITHIN: '1s', MAIL__RETRY__FIRST: '500ms' });
    yield { name: 'check-inbox', path: '/subscribe', post: { email: 'bea@example.org' } };
    const late = await site.link('bea@example.org', 'Please confirm', '/confirm/');
    await site.again({ SIGNUP__CONFIRM_WITHIN: '72h', MAIL__RETRY__FIRST: '5m' });
    site.run('catalog', 'import', site.content, '--dates-to-now');
    site.run('catalog', 'import', site.write('long.toml', CATALOGUE));

    yield { name: 'front', path: '/' };
    yield { name: 'front-refused', path: '/subscribe', post: { email: 'ada@nowhere' }, status: 422 };
    yield { name: 'comparisons', path: '/comparisons' };
    yield { name: 'comparisons-of-design', path: '/comparisons?category=Design' };
    yield { name: 'tools', path: '/tools' };
    yield { name: 'api', path: '/api' };
    yield { name: 'search', path: '/search?q=gantry' };
    yield { name: 'search-nothing', path: '/search?q=nothing-of-it' };
    yield { name: 'embed', path: '/embed' };
    yield { name: 'check-inbox-too', path: '/subscribe', post: { email: 'ada@example.org' } };
    yield { name: 'comparison', path: '/comparisons/thimblewren-4b-vs-gantrymoth' };
    yield { name: 'comparison-long', path: '/comparisons/long-words-vs-right-to-left' };
    yield { name: 'tool', path: '/tools/gantrymoth' };
    yield { name: 'tool-long', path: '/tools/long-words' };
    yield { name: 'tool-unreviewed', path: '/tools/right-to-left' };
    yield { name: 'voted-as-visitor', path: '/tools/gantrymoth/vote', post: { verdict: 'skip', back: '/comparisons/thimblewren-4b-vs-gantrymoth' } };
    yield { name: 'save-refused', path: '/tools/gantrymoth/save', post: { save: 'yes' }, status: 403 };
    yield { name: 'saved-nobody', path: '/saved' };
    yield { name: 'not-found', path: '/nothing-here', status: 404 };
    yield { name: 'not-like-this', path: '/digests', post: { a: 'b' }, status: 405 };
    yield { name: 'not-understood', path: '/tools/gantrymoth/vote', post: { verdict: 'perhaps' }, status: 422 };
    yield { name: 'too-large', path: '/subscribe', post: { email: 'a'.repeat(20_000) }, status: 413 };
    yield { name: 'bad-link', path: '/unsubscribe/nonsense', status: 404 };

    const confirm = await site.link('ada@example.org', 'Please confirm', '/confirm/');
    yield { name: 'confirm', path: confirm };
    yield { name: 'confirmed', path: confirm, post: {} };
    const week = /\d{4}-W\d\d/.exec(site.say('', 'digest', 'draft'))[0];
    const review = site.say('', 'digest', 'review-link', week).split('\n').find((line) => line.startsWith('http')).slice(site.base.length);
    yield { name: 'review', path: review };
    yield { name: 'review-refused', path: review, post: { name: 'Bo', said: '' }, status: 422 };
    yield { name: 'review-thanks', path: review, post: { name: 'Bo', said: `Well put. ${LONG.slice(0, 80)}` } };
    site.run('digest', 'send');
    const digest = (what) => site.link('ada@example.org', 'Ship Thimblewren', what);
    yield { name: 'digests', path: '/digests' };
    yield { name: 'digest', path: await site.newestDigest() };
    await site.feed('feed');

    const [vote, choose, saved] = [await digest('/vote/gantrymoth/ship/'), await digest('/choose/thimblewren-4b-vs-gantrymoth/'), await digest('/saved/')];
    const save = `/save/gantrymoth/${saved.split('/').at(-1)}`;
    yield { name: 'choose', path: choose };
    yield { name: 'monthly', path: `/monthly/${saved.split('/').at(-1)}` };
    yield { name: 'vote', path: vote };
    yield { name: 'voted', path: vote, post: {}, as: 'ada' };
    yield { name: 'vote-again', path: vote };
    yield { name: 'choose-again', path: choose };
    yield { name: 'saved-nothing', path: saved };
    yield { name: 'save', path: save };
    yield { name: 'save-done', path: save, post: {}, as: 'ada' };
    const token = save.split('/').at(-1);
    yield { name: 'save-long', path: `/save/long-words/${token}`, post: {}, as: 'ada' };
    yield { name: 'saved', path: saved };
    yield { name: 'comparison-of-a-reader', path: '/comparisons/thimblewren-4b-vs-gantrymoth', as: 'ada' };
    yield { name: 'tool-of-a-reader', path: '/tools/gantrymoth', as: 'ada' };
    yield { name: 'tool-with-history', path: site.turnsAround('long-words', CATALOGUE) };
    yield { name: 'saved-with-news', path: saved };

    const preferences = await digest('/preferences/');
    yield { name: 'preferences', path: preferences };
    yield { name: 'preferences-kept', path: preferences, post: { category: 'Design', rhythm: 'monthly', pause: '4' } };
    yield { name: 'link-sent', path: `${preferences}/link`, post: {} };
    const account = await site.link('ada@example.org', 'The link to your data', '/account/');
    yield { name: 'account', path: account };
    yield { name: 'account-address-refused', path: `${account}/address`, post: { email: 'ada@nowhere' }, status: 422 };
    yield { name: 'account-name-refused', path: `${account}/name`, post: { name: LONG.repeat(2) }, status: 422 };
    yield { name: 'account-name-kept', path: `${account}/name`, post: { name: 'Ada' } };
    yield { name: 'account-address-asked', path: `${account}/address`, post: { email: 'ada@new.example.org' } };
    const move = await site.link('ada@new.example.org', 'Please confirm', '/move/');
    yield { name: 'move', path: move };
    yield { name: 'moved', path: move, post: {} };
    yield { name: 'move-over', path: move, status: 410 };

    yield { name: 'mailbox', path: '/mailbox' };
    yield { name: 'mailbox-mail', path: await site.mail('ada@example.org', 'Ship Thimblewren') };

    const goodbye = await digest('/unsubscribe/');
    yield { name: 'unsubscribe', path: goodbye };
    yield { name: 'unsubscribed', path: goodbye, post: {} };
    yield { name: 'vote-over', path: vote, post: {}, status: 410 };
    yield { name: 'preferences-over', path: preferences, post: { rhythm: 'weekly' }, status: 410 };
    yield { name: 'erase', path: `${account}/erase` };
    yield { name: 'erased', path: `${account}/erase`, post: { sure: 'yes' } };

    yield { name: 'check-inbox-again', path: '/subscribe', post: { email: 'bea@example.org' } };
    yield* desk(site);
    // The allowance is kept in the database: what was used before the restart counts.
    await site.again({ SIGNUP__PER_CLIENT: '1' });
    await site.until('the link does not expire', async () => (await fetch(site.base + late)).status === 410);
    yield { name: 'confirm-expired', path: late, status: 410 };
    yield { name: 'too-many', path: '/subscribe', post: { email: 'bea@example.org' }, status: 429 };
}

const PASSWORD = 'violet tram eats ledger';

/// A provider of OpenID Connect that shows nobody a page of its own: who is sent there stays where they are.
function idProvider() {
    const server = http.createServer((request, response) => {
        const issuer = `http://127.0.0.1:${server.address().port}`;
        const document = {
            issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/keys`,
            response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'],
        };
        const body = { '/.well-known/openid-configuration': document, '/keys': { keys: [] } }[request.url];
        response.writeHead(body ? 200 : 204, { 'content-type': 'application/json' }).end(body && JSON.stringify(body));
    });
    server.unref();
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)));
}

/// The desk's pages: of its first owner, who has a second factor, and of one who must set it up.
async function* desk(site) {
    const setup = site.say('', 'users', 'setup').split('\n')[0].slice(site.base.length);
    yield { name: 'desk-setup', path: setup };
    yield { name: 'desk-setup-refused', path: setup, post: { email: 'ada', name: 'Ada', password: PASSWORD }, status: 422 };
    yield { name: 'desk-second-factor', path: setup, post: { email: 'ada@desk.example', name: `Ada ${LONG.slice(0, 40)}`, password: PASSWORD }, as: 'owner' };
    yield { name: 'desk-second-factor-refused', path: '/desk/account/second-factor', post: { seed: 'x', code: '000000' }, status: 422, as: 'owner' };
    const issuer = await idProvider();
    const providers = [['Example ID', issuer], ['Office', 'http://127.0.0.1:9']];
    const oidc = providers.map(([name, issuer]) => `{ name = "${name}", issuer = "${issuer}", client_id = "x" }`);
    await site.again({ DESK__SECOND_FACTOR: 'off', SCHEDULE__APPROVAL: 'required', DESK__OIDC: `[${oidc}]` });
    yield { name: 'desk-sign-in', path: '/desk/sign-in' };
    yield { name: 'desk-sign-in-refused', path: '/desk/sign-in', post: { email: 'ada@desk.example', password: 'x' }, status: 422 };
    yield { name: 'desk-week', path: '/desk/sign-in', post: { email: 'ada@desk.example', password: PASSWORD }, as: 'publisher' };
    const as = 'publisher';
    yield { name: 'desk-onward', path: '/desk/oidc/example-id', post: {} };
    yield { name: 'desk-provider-down', path: '/desk/oidc/office', post: {}, status: 503 };
    site.say('', 'users', 'link', 'ada@desk.example', issuer, LONG);
    const account = JSON.parse(site.say('', '--json', 'users', 'identities', 'ada@desk.example')).identities[0].account;
    yield { name: 'desk-account-unlink', path: `/desk/account/identities/${account}/remove`, as };
    const link = site.say('', 'users', 'add', 'wil@desk.example', '--role', 'writer').split('\n').find((line) => line.startsWith('http'));
    yield { name: 'desk-choose-password', path: link.slice(site.base.length) };
    yield { name: 'desk-account', path: '/desk/account', as };
    yield { name: 'desk-account-second-factor', path: '/desk/account/second-factor', as };
    yield { name: 'desk-passkey-new', path: '/desk/account/passkeys/new', as };
    yield { name: 'desk-passkey-refused', path: '/desk/account/passkeys', post: { name: 'Phone', ceremony: 'x', credential: '{}' }, status: 422, as };
    yield { name: 'desk-passkey-sign-in-refused', path: '/desk/passkey', post: { ceremony: 'x', credential: '{}' }, status: 422 };
    yield { name: 'desk-account-refused', path: '/desk/account/password', post: { old: 'x', new: 'y' }, status: 422, as };
    yield { name: 'desk-notices', path: '/desk/notices', as };
    yield { name: 'desk-account-mails', path: '/desk/account/mails', post: { mail: 'sent' }, as };
    yield { name: 'desk-confirm', path: '/desk/confirm?next=%2Fdesk%2Fusers', as };
    yield { name: 'desk-subscribers', path: '/desk/subscribers', as };
    yield { name: 'desk-subscribers-found', path: '/desk/subscribers?search=bea&state=pending&paused=yes', as };
    yield { name: 'desk-subscribers-refused', path: '/desk/subscribers?joined_from=yesterday&bounced=x', status: 422, as };
    yield { name: 'desk-subscriber-new', path: '/desk/subscribers/new', as };
    yield { name: 'desk-subscriber', path: '/desk/subscribers/new', post: { email: 'cy@reader.example', consent: `By phone. ${LONG.slice(0, 200)}` }, as };
    yield { name: 'desk-import', path: '/desk/subscribers/import', as };
    yield { name: 'desk-export', path: '/desk/subscribers/bulk?scope=all&change=export', as };
    yield { name: 'desk-bulk-pause', path: '/desk/subscribers/bulk?scope=all&change=pause', as };
    yield { name: 'desk-jobs', path: '/desk/jobs', as };
    yield { name: 'desk-tools', path: '/desk/tools', as };
    yield { name: 'desk-tools-none', path: '/desk/tools?search=nothing-of-it&never_sent=yes', as };
    yield { name: 'desk-tool-new', path: '/desk/tools/new', as };
    yield { name: 'desk-tool-refused', path: '/desk/tools/new', post: { name: LONG, r1_score: '101', r1_verdict: 'ship', publish: 'at', at: 'soon' }, status: 422, as };
    yield { name: 'desk-tool', path: '/desk/tools/long-words/edit', as };
    yield { name: 'desk-tool-conflict', path: '/desk/tools/long-words/edit', post: { version: '1', name: 'Mine', category: 'Design', tagline: LONG, description: LONG, publish: 'keep' }, status: 409, as };
    yield { name: 'desk-tool-remove', path: '/desk/tools/long-words/remove', as };
    yield { name: 'desk-comparisons', path: '/desk/comparisons', as };
    yield { name: 'desk-comparison-new', path: '/desk/comparisons/new', as };
    yield { name: 'desk-comparison-twin', path: '/desk/comparisons/new', post: { left: 'right-to-left', right: 'long-words' }, status: 422, as };
    yield { name: 'desk-comparison', path: '/desk/comparisons/long-words-vs-right-to-left/edit', as };
    yield { name: 'desk-catalogue-import', path: '/desk/catalogue/import', as };
    yield { name: 'desk-sources', path: '/desk/sources', as };
    yield { name: 'desk-source-new', path: '/desk/sources/new', as };
    yield { name: 'desk-source-refused', path: '/desk/sources/new', post: { name: LONG.slice(0, 80), kind: 'page', url: 'ftp://x', mode: 'review', what: 'save' }, status: 422, as };
    yield { name: 'desk-proposals', path: '/desk/proposals', as };
    yield { name: 'desk-settings', path: '/desk/settings', as };
    yield { name: 'desk-setting', path: '/desk/settings/picker.min_items', as };
    yield { name: 'desk-setting-refused', path: '/desk/settings/picker.min_items', post: { value: 'many' }, status: 422, as };
    yield { name: 'desk-audit', path: '/desk/audit', as };
    yield { name: 'desk-audit-refused', path: '/desk/audit?subject=nonsense', status: 422, as };
    yield { name: 'desk-webhooks', path: '/desk/webhooks', as };
    yield { name: 'desk-webhooks-refused', path: '/desk/webhooks', post: { name: 'CRM', url: 'https://10.0.0.1/', kinds: '*' }, status: 422, as };
    const hook = JSON.parse(site.say('', '--json', 'webhooks', 'add', LONG.slice(0, 90).trim(), 'https://hooks.example.org/verdicts', '--kinds', '*', '--ed25519')).endpoint.id;
    yield { name: 'desk-webhook', path: `/desk/webhooks/${hook}`, as };
    yield { name: 'desk-webhook-refused', path: `/desk/webhooks/${hook}/replay`, post: { from: 'yesterday', to: '' }, status: 422, as };
    yield { name: 'desk-webhook-rotate', path: `/desk/webhooks/${hook}/rotate`, as };
    yield { name: 'desk-webhook-secret', path: `/desk/webhooks/${hook}/rotate`, post: {}, as };
    yield { name: 'desk-webhook-remove', path: `/desk/webhooks/${hook}/remove`, as };
    yield { name: 'desk-diagnostics', path: '/desk/diagnostics', as };
    yield { name: 'desk-diagnostics-checked', path: '/desk/diagnostics', post: {}, as };
    yield { name: 'desk-tokens-none', path: '/desk/tokens', as };
    yield { name: 'desk-tokens-refused', path: '/desk/tokens', post: { name: 'The shop', networks: 'x', life: '365' }, status: 422, as };
    yield { name: 'desk-token', path: '/desk/tokens', post: { name: 'The shop', 'scope:catalogue:read': 'on', life: '365' }, as };
    yield { name: 'desk-tokens', path: '/desk/tokens', as };
    yield { name: 'desk-users', path: '/desk/users', as };
    yield { name: 'desk-users-refused', path: '/desk/users', post: { email: 'nobody', name: 'X', role: 'writer' }, status: 422, as };
    yield { name: 'desk-user-link', path: '/desk/users', post: { email: 'eve@desk.example', name: 'Eve', role: 'analyst' }, as };
    site.say(`${PASSWORD}\n`, 'users', 'reset-password', 'eve@desk.example', '--password-stdin');
    yield { name: 'desk-not-for-you', path: '/desk/sign-in', post: { email: 'eve@desk.example', password: PASSWORD, next: '/desk/users' }, status: 403, as: 'eve' };
    yield { name: 'desk-digests', path: '/desk/digests', as };
    const slot = /\d{4}-W\d\d/.exec(await site.text('/digests'))[0];
    yield { name: 'desk-digest-sent', path: `/desk/digests/${slot}`, as };
    yield { name: 'desk-left', path: `/desk/digests/${slot}/left`, as };
    yield { name: 'desk-growth', path: '/desk/growth', as };
    yield { name: 'desk-growth-weeks', path: '/desk/growth?span=52-weeks', as };
    yield { name: 'desk-deliverability', path: '/desk/deliverability', as };
    yield { name: 'desk-refused', path: `/desk/deliverability/refused?issue=${slot}`, as };
    yield { name: 'desk-suppressions', path: '/desk/deliverability/suppressions?search=ada@example.org', as };
    yield { name: 'desk-suppressions-refused', path: '/desk/deliverability/suppressions/lift', post: { email: 'nobody@example.org', note: '' }, status: 422, as };
    yield { name: 'desk-correct', path: `/desk/digests/${slot}/correct`, as };
    yield { name: 'desk-archive', path: `/desk/digests/${slot}/archive`, as };
    for (const show of ['light', 'dark', 'phone', 'text']) yield { name: `desk-preview-${show}`, path: `/desk/digests/${slot}/preview?show=${show}`, as };
}
