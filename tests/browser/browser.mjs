// A Chromium for the tests of the operator's page. It fails a test on what no page may have: a console error, a violation of
// the policy, a request to another site, a finding of axe, a page that is wider than the window. Each state that a test looks
// at is kept as a screenshot, in both themes and at the width of a phone.
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { mkdirSync } from "node:fs";

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function holds(condition, message) {
  if (!condition) throw new Error(message);
}

/** Runs a test with what the Rust test told it, as JSON: `base`, `meta`, tokens by role, `shots`, and what the test adds. */
export async function test(body) {
  const told = JSON.parse(process.argv[2]);
  mkdirSync(told.shots, { recursive: true });
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: QUIET });
  const faults = [];
  const people = [];
  try {
    await body({
      ...told,
      person: async (name, options = {}) => {
        const person = await Person.meet(browser, told, faults, name, options);
        people.push(person);
        return person;
      },
    });
  } catch (error) {
    faults.push(error.stack);
    for (const person of people) {
      await person.page.screenshot({ path: `${told.shots}/fault-${person.name}.png`, fullPage: true }).catch(() => {});
      faults.push(`${person.name} was at ${person.page.url()}: ${(await person.page.locator("main").innerText().catch(() => "")).slice(0, 1500)}`);
    }
  } finally {
    await browser.close();
  }
  for (const fault of faults) console.error(fault);
  process.exit(faults.length === 0 ? 0 : 1);
}

/** Asks the local Meta to do something. */
export async function control(meta, method, path, body) {
  const answer = await fetch(`${meta}/_sim/${path}`, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });
  holds(answer.ok, `${method} /_sim/${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

class Person {
  static async meet(browser, told, faults, name, options) {
    const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", baseURL: told.base, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const fault = (what) => faults.push(`${name}, ${page.url()}: ${what}`);
    const person = new Person(name, page, told, fault, options);
    page.on("console", (message) => {
      const text = message.text();
      // A page that was asked for and refused says so here, too; htmx tells of a service that a test has cut off.
      const isExpected = text.startsWith("Failed to load resource") || (person.isCutOff && text.startsWith("htmx: htmx:error: Failed to fetch"));
      if (["error", "warning"].includes(message.type()) && !isExpected) fault(`console: ${text}`);
    });
    page.on("pageerror", (error) => fault(`script: ${error.message}`));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(told.base) && !url.startsWith(told.meta) && !url.startsWith("data:")) fault(`asked another site: ${url}`);
    });
    return person;
  }

  constructor(name, page, told, fault, options) {
    Object.assign(this, { name, page, told, fault, isCutOff: false, scripted: options.javaScriptEnabled !== false });
  }

  async signIn(token) {
    await this.page.goto("/sign-in");
    await this.page.getByLabel("API token").fill(token);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  }

  /** Looks at the page as it is: light and dark, and at the width of a phone. */
  async look(state) {
    const { page } = this;
    for (const [kind, colorScheme, viewport] of [["light", "light", DESKTOP], ["dark", "dark", DESKTOP], ["phone", "light", PHONE], ["phone-dark", "dark", PHONE]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      if (kind !== "phone-dark") await page.screenshot({ path: `${this.told.shots}/${state}-${kind}.png`, fullPage: true });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wider > 0) this.fault(`${state}, ${kind}: ${wider} pixels wider than the window`);
      if (this.scripted) await this.axe(`${state}, ${kind}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(DESKTOP);
  }

  async axe(state) {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    for (const { id, help, nodes } of violations) {
      this.fault(`${state}: ${id}, ${help}: ${nodes.slice(0, 4).map((node) => node.target.join(" ")).join(" | ")}`);
    }
  }

  /** Asks for something to be done with everything that the list's filter shows, and confirms it. */
  async bulk(action, state) {
    const main = this.page.getByRole("main");
    await main.getByLabel("Action", { exact: true }).selectOption({ label: action });
    await main.getByRole("button", { name: /of this filter…$/ }).click();
    const confirm = this.page.locator("#confirm");
    await confirm.waitFor();
    await this.look(state);
    const typed = confirm.getByLabel(/^Type/);
    if (await typed.count()) await typed.fill((await confirm.getByText(/^Type/).innerText()).replace(/[^0-9]/g, ""));
    await confirm.getByRole("button", { name: action }).click();
  }

  /** The only element with this text in the content. */
  async reads(text) {
    await this.page.locator("main").getByText(text).first().waitFor();
  }
}
