// A person who has never seen the page goes from an empty installation to a catalog in step, and through a first week: an item
// that Meta refuses, another mapper, many items at once, a mass deletion.
import { readFileSync } from "node:fs";
import { control, holds, test } from "./browser.mjs";

const LINEN = 200;
const product = (number, more = {}) => ({
  id: `p-${number}`,
  title: `Shirt ${number}`,
  description: "A shirt of linen.",
  slug: `shirt-${number}`,
  status: "active",
  visibility: "public",
  thumbnail: "https://cdn.shop.example/shirt.jpg",
  brand: { id: "acme", title: "Acme" },
  variants: [{ id: `v-${number}`, sku: `SHIRT-${number}`, price: 189900 }],
  ...more,
});
const file = (name, products) => ({ name, mimeType: "application/x-ndjson", buffer: Buffer.from(products.map((one) => JSON.stringify(one)).join("\n")) });
const shirts = (more) => Array.from({ length: LINEN }, (_, number) => product(number + 1, more));

await test(async ({ base, meta, admin, module, person }) => {
  const operator = await person("operator");
  const { page } = operator;
  const main = page.getByRole("main");
  const dialog = page.getByRole("dialog");
  const button = (name, within = main) => within.getByRole("button", { name });
  const link = (name, within = main) => within.getByRole("link", { name });
  // A step of the set-up, which may be open already.
  const unfold = async (step) => {
    const details = main.locator(`#${step} > details`);
    if (!(await details.evaluate((one) => one.open))) await details.locator("summary").first().click();
  };
  const stat = async (name, count) => {
    await main.getByRole("navigation", { name: "Items by state" }).getByRole("link", { name: new RegExp(`^\\s*${name}\\s+${count}\\b`) }).waitFor();
  };

  await operator.signIn(admin);
  await page.getByLabel("Refresh").selectOption("1");
  await link("Begin the set-up").click();
  await page.getByRole("heading", { level: 1, name: "Set-up" }).waitFor();
  await operator.look("setup-first");

  // The app, and the address that it has to allow.
  await main.getByLabel("App ID").fill("1000000001");
  await main.getByLabel("App secret").fill("simulator-app-secret");
  await button("Save", main.locator("#app")).click();
  await page.getByRole("status").getByText("saved").waitFor();
  const redirect = await main.locator("#redirect-uri").textContent();
  holds(redirect === `${base}/admin/meta/oauth/callback`, `the address to paste: ${redirect}`);
  holds(!(await page.content()).includes("simulator-app-secret"), "the secret is shown nowhere");

  // Facebook's question, refused first.
  await button("Connect Facebook").click();
  await page.getByRole("button", { name: "Deny" }).click();
  await link("Try again").waitFor();
  await operator.look("login-denied");
  await link("Try again").click();
  await operator.look("setup-connect");
  await button("Go on to Facebook").click();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL("**/setup?done=connected");
  await operator.look("setup-connected");

  // The catalog, and what the shop is.
  await link(/catalogs?/i, main.locator("#catalog")).first().click();
  await operator.look("setup-catalogs");
  await main.getByLabel(/^Acme Master Catalog/).check();
  await button("Select this catalog").click();
  await page.waitForURL("**/setup**");
  await main.getByLabel("Storefront", { exact: false }).first().fill("https://shop.example");
  await button("Save", main.locator("#shop")).click();
  await page.getByRole("status").getByText("saved").waitFor();

  // Products, of which one is private and one is refused by Meta.
  const refused = { "v-7": "The image could not be downloaded" };
  await control(meta, "POST", "reject_ids", refused);
  const products = shirts();
  products[2].visibility = "private";
  await main.getByLabel("File of products").setInputFiles(file("shirts.ndjson", [...products, { id: "broken" }]));
  // Looked at first; the file need not be chosen again.
  await button("Only check it", main.locator("#products")).click();
  await dialog.getByRole("heading", { name: "Faulty lines" }).waitFor();
  await dialog.getByText("Product is not public").waitFor();
  await operator.axe("the dialog of the check");
  await button("Import this file", dialog).click();
  await operator.reads("Faulty lines");
  await operator.look("setup-imported");
  await link("Go on with the set-up").click();
  await unfold("preview");
  await operator.look("setup-preview");
  await main.locator("#preview").getByText(`${LINEN - 1}`).first().waitFor();

  // Verdicts are asked for more often while somebody watches.
  await page.goto("/settings");
  await operator.look("settings");
  const poll = main.locator("#poll_interval_seconds");
  await poll.evaluate((field) => { field.removeAttribute("min"); field.removeAttribute("max"); });
  await poll.fill("0");
  await poll.press("Enter");
  await operator.reads("needs another look");
  await operator.look("settings-wrong");
  await main.locator("#poll_interval_seconds").fill("10");
  await main.locator("#poll_interval_seconds").press("Enter");
  await page.getByRole("status").getByText("saved").waitFor();

  // The import queued everything, and rows become synced while one watches.
  await page.goto("/setup");
  await button("Switch the sync on").click();
  await page.getByRole("status").getByText("switched on").waitFor();
  await page.goto("/");
  await stat("In flight", "[1-9][0-9,]*");
  await operator.look("overview-busy");
  await stat("In step", LINEN - 2);
  await stat("Refused", 1);
  await operator.look("overview");

  // Everything again: the number before the action.
  await page.goto("/setup");
  await link("Queue everything again").first().click();
  await dialog.getByRole("heading", { name: "Queue everything" }).waitFor();
  await operator.axe("the dialog of the bootstrap");
  await button(/^Queue/, dialog).click();
  await page.getByRole("status").getByText("queued").waitFor();

  // The refused item, explained and fixed.
  await page.goto("/issues");
  await operator.look("issues");
  await page.goto("/items?status=failed");
  await operator.look("items-refused");
  await link("Shirt 7").click();
  await operator.reads("The image could not be downloaded");
  await operator.look("item-refused");
  await control(meta, "DELETE", "reject_ids");
  await button("Push again").click();
  await page.getByRole("status").getByText("queued").waitFor();
  await main.locator(".badge", { hasText: "In step" }).first().waitFor();
  await link("Ask Meta now").click();
  await operator.reads("same at Meta");
  await operator.look("item-live");
  await page.goto("/items/v-3");
  await operator.reads("Not eligible");
  await operator.look("item-not-eligible");
  await page.goto("/items/nobody");
  await operator.look("item-unknown");

  // Another mapper: a file that is none, then a module, seen before it is active, and back.
  await page.goto("/mapper");
  await operator.look("mapper");
  await main.getByLabel("A module's file").setInputFiles({ name: "picture.wasm", mimeType: "application/wasm", buffer: Buffer.from("GIF89a") });
  await button("Preview the changes").click();
  await main.locator("#refused").waitFor();
  await operator.look("mapper-refused");
  await main.getByLabel("A module's file").setInputFiles({ name: "price-rounding.wasm", mimeType: "application/wasm", buffer: readFileSync(module) });
  await button("Preview the changes").click();
  await main.getByRole("link", { name: "Activate" }).waitFor();
  await operator.look("mapper-preview");
  await link("Activate").click();
  await operator.axe("the dialog of the activation");
  await button("Activate", dialog).click();
  await page.getByRole("status").getByText("mapper is active").waitFor();
  await page.goto("/mapper");
  await operator.reads("price-rounding");
  await link(/^Roll back/).click();
  await button(/Roll back/, dialog).click();
  await page.getByRole("status").getByText("mapper is active").waitFor();
  await operator.look("mapper-after");

  // Many at once.
  await page.goto("/items");
  await operator.look("items");
  await page.keyboard.press("/");
  await page.keyboard.type("SHIRT-42");
  await page.keyboard.press("Enter");
  await link("Shirt 42").waitFor();
  await operator.look("items-search");
  await page.goto("/items?search=nothing+like+this");
  await operator.look("items-none");
  await page.goto("/items?status=synced");
  await operator.bulk("Decide again", "items-bulk");
  await page.getByRole("status").getByText("queued to be decided again").waitFor();

  // More than a tenth of the shop goes at once: the deletes wait until somebody has looked.
  await page.goto("/setup");
  await page.getByText("The steps of the set-up").click();
  await unfold("products");
  await main.getByLabel("File of products").setInputFiles(file("archived.ndjson", shirts({ status: "archived" })));
  await button("Import", main.locator("#products")).click();
  await page.goto("/");
  await page.getByText("Their deletion is held").waitFor();
  await operator.look("overview-held");
  await link("Review the held deletes").click();
  await operator.look("items-held");
  await operator.bulk("Release held deletes", "items-release");
  await page.getByRole("status").getByText("released").waitFor();
  await page.goto("/");
  await stat("Deleted", LINEN - 1);

  // What happened, and what runs.
  for (const path of ["/activity", "/activity?tab=audit", "/system", "/setup"]) {
    await page.goto(path);
    await operator.look(`after${path.replace(/[^a-z]+/g, "-")}`);
  }
  await page.goto("/setup/disconnect");
  await operator.look("setup-disconnect");
});
