// The provider: everybody who asks is somebody, with an address at office.example and the groups in their name ("ada+chiefs").
//
//     node provider.mjs PORT REDIRECT

import { Provider } from 'oidc-provider';

const [port, redirect] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: 'desk', client_secret: 'a secret: 100% + more/&=?', redirect_uris: [redirect], grant_types: ['authorization_code'], response_types: ['code'] }],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    pkce: { required: () => true },
    async findAccount(_, id) {
        const [name, ...groups] = id.split('+');
        return { accountId: id, claims: () => ({ sub: id, name, email: `${name}@office.example`, email_verified: name !== 'eve', groups }) };
    },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
