// A real Better-Auth for one end-to-end test: in-process, on the PostgreSQL at DATABASE_URL, with e-mail and password,
// the admin plugin and the bearer plugin. Reads one JSON array a line, [command, ...arguments], and answers one JSON
// object a line, {"ok": result} or {"error": text}. Ends with its standard input. For tests only.
import { createInterface } from "node:readline";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { admin, bearer } from "better-auth/plugins";
import { createAccessControl } from "better-auth/plugins/access";
import { adminAc, defaultStatements, userAc } from "better-auth/plugins/admin/access";
import pg from "pg";

const PASSWORD = "correct horse battery staple";
const ROOT = "root@example.test";
const ORIGIN = "http://auth.example.test";

const ac = createAccessControl({ ...defaultStatements, metaCatalog: ["view", "manage"] });
const roles = {
  admin: ac.newRole(adminAc.statements), // administers users, but has nothing on the catalog
  user: ac.newRole(userAc.statements),
  "catalog-admin": ac.newRole({ metaCatalog: ["view", "manage"] }),
  "catalog-viewer": ac.newRole({ metaCatalog: ["view"] }),
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const options = {
  database: pool,
  baseURL: ORIGIN,
  secret: process.env.BETTER_AUTH_SECRET,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: "error" },
  plugins: [admin({ ac, roles }), bearer()],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
const cookieName = (await auth.$context).authCookies.sessionToken.name;

async function post(path, body, headers = {}) {
  const response = await auth.handler(
    new Request(`${ORIGIN}/api/auth${path}`, {
      method: "POST",
      headers: { origin: ORIGIN, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    }),
  );
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
  return response.headers;
}

// What a client holds afterwards. The last cookie counts: an impersonation clears the old one first.
function credentials(headers) {
  const pairs = headers.getSetCookie().map((cookie) => cookie.split(";")[0]);
  const cookie = pairs.findLast((pair) => pair.startsWith(`${cookieName}=`));
  const signed = decodeURIComponent(cookie.slice(cookieName.length + 1));
  return { cookie, signed, token: signed.slice(0, signed.lastIndexOf(".")) };
}

const createUser = (email, role) =>
  auth.api.createUser({ body: { email, password: PASSWORD, name: email, role } });
const signIn = async (email) => credentials(await post("/sign-in/email", { email, password: PASSWORD }));
const idOf = async (email) =>
  (await pool.query('select id from "user" where email = $1', [email])).rows[0].id;

await createUser(ROOT, "admin");
const root = { cookie: (await signIn(ROOT)).cookie };
const asRoot = (path, body) => post(`/admin/${path}`, body, root);

const commands = {
  "create-user": async (email, role) => (await createUser(email, role)).user.id,
  "sign-in": signIn,
  "sign-out": async (cookie) => void (await post("/sign-out", {}, { cookie })),
  "set-role": async (email, role) => void (await asRoot("set-role", { userId: await idOf(email), role })),
  ban: async (email) => void (await asRoot("ban-user", { userId: await idOf(email) })),
  unban: async (email) => void (await asRoot("unban-user", { userId: await idOf(email) })),
  revoke: async (sessionToken) => void (await asRoot("revoke-user-session", { sessionToken })),
  remove: async (email) => void (await asRoot("remove-user", { userId: await idOf(email) })),
  impersonate: async (email) => credentials(await asRoot("impersonate-user", { userId: await idOf(email) })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await commands[name](...args)) ?? null };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  console.log(JSON.stringify(answer));
}
await pool.end();
