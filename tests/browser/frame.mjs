// What surrounds every page: signing in and out, themes, keys, the weight of a first visit, many tabs.
import { holds, test } from "./browser.mjs";

await test(async ({ base, admin, viewer, person }) => {
  const operator = await person("operator");
  const { page } = operator;

  // Everything that a first visit loads, as it comes over the wire.
  const wire = await page.context().newCDPSession(page);
  await wire.send("Network.enable");
  let weight = 0;
  wire.on("Network.loadingFinished", ({ encodedDataLength }) => { weight += encodedDataLength; });
  await page.goto("/?from=elsewhere");
  holds(page.url().includes("/sign-in?next="), `sent to the sign-in: ${page.url()}`);
  await operator.look("sign-in");
  await page.getByLabel("API token").fill("mct_made-up");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("not known here").waitFor();
  await operator.look("sign-in-wrong");
  await operator.signIn(admin);
  await page.waitForLoadState("networkidle");
  holds(weight > 10_000 && weight < 60 * 1024, `a first visit weighs ${weight} bytes`);
  await operator.look("overview-empty");

  // Keys: help, theme, going somewhere; and they can be switched off.
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await operator.axe("the keys");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "hidden" });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  // A dialog that is closing takes keys for a moment.
  for (let press = 0; press < 20 && !(await theme()); press += 1) {
    await page.keyboard.press("t");
    await page.waitForTimeout(100);
  }
  const chosen = await theme();
  holds(["light", "dark"].includes(chosen), `a theme was chosen: ${chosen}`);
  await page.reload();
  holds((await theme()) === chosen, "and is kept");
  await page.getByLabel("Colours").selectOption("auto");
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await page.waitForURL("**/items");

  // The first stop of the keyboard leads past the navigation.
  await page.goto("/");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  holds(page.url().endsWith("#content"), `skipped to the content: ${page.url()}`);

  // Six open tabs, all refreshing, and a seventh request is answered.
  const tabs = [];
  for (let tab = 0; tab < 6; tab += 1) {
    const other = await page.context().newPage();
    await other.goto("/");
    await other.getByLabel("Refresh").selectOption("1");
    tabs.push(other);
  }
  await page.waitForTimeout(2_500);
  const began = Date.now();
  await page.goto("/");
  holds(Date.now() - began < 5_000, "the page is not locked out");
  await Promise.all(tabs.map((tab) => tab.close()));

  // What changes is shown without a reload, and a service that is gone is told.
  operator.isCutOff = true;
  await page.route("**/*", (route) => (route.request().headers()["hx-request"] ? route.abort() : route.continue()));
  await page.getByLabel("Refresh").selectOption("1");
  await page.getByText("The service does not answer").waitFor({ state: "visible" });
  await operator.look("stale");
  // So does a service that answers with an error: what was shown stays.
  await page.unroute("**/*");
  await page.getByText("The service does not answer").waitFor({ state: "hidden" });
  await page.route("**/*", (route) => (route.request().headers()["hx-request"] ? route.fulfill({ status: 503, contentType: "text/html", body: "<h1>Away</h1>" }) : route.continue()));
  await page.getByText("The service does not answer").waitFor({ state: "visible" });
  holds((await page.locator("#live").count()) === 1 && (await page.locator("#stale time").textContent()) !== "", "the old numbers stay, with their time");
  await page.unroute("**/*");
  await page.getByText("The service does not answer").waitFor({ state: "hidden" });
  operator.isCutOff = false;

  // A page that does not exist, and one that this person may not use.
  const lost = await page.goto("/no/such/page");
  holds(lost.status() === 404 && (await lost.headerValue("content-type")).startsWith("text/html"), `a page says so: ${lost.status()}`);
  await operator.look("not-found");

  const guest = await person("guest");
  await guest.signIn(viewer);
  await guest.page.getByText("may only look").waitFor();
  holds((await guest.page.locator("main form[method=post]").count()) === 0, "no buttons for those that may only look");
  await guest.look("overview-viewer");
  await guest.page.getByRole("button", { name: "Sign out" }).click();
  await guest.page.waitForURL("**/sign-in");
  await guest.page.goto("/");
  holds(guest.page.url().startsWith(`${base}/sign-in`), "signed out");
});
