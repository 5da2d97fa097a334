// An OpenID provider on this machine for the tests: node provider.mjs PORT PEOPLE.json CALLBACK
//
// PEOPLE.json says who there is and in which groups, and is read anew at every sign-in; the login
// form takes any of its names with any password. CALLBACK is where Strop answers.

import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const [port, people, strop] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const whoIs = (id) => JSON.parse(readFileSync(people, "utf8"))[id];

const provider = new Provider(issuer, {
  clients: [{
    client_id: "strop",
    client_secret: "a-client-secret-of-the-test",
    redirect_uris: [`${strop}/api/v1/oidc/callback`],
    post_logout_redirect_uris: [`${strop}/api/v1/login`],
    backchannel_logout_uri: `${strop}/api/v1/oidc/backchannel-logout`,
    backchannel_logout_session_required: true,
    grant_types: ["authorization_code"],
    response_types: ["code"],
  }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  cookies: { keys: ["of the test"] },
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, groups: whoIs(id) ?? [] }),
  }),
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`ready ${issuer}`));
