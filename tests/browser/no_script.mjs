// The same way with script disabled: links, forms and pages of confirmation are enough. Then somebody who may only look.
import { holds, test } from "./browser.mjs";

const shirt = (number) => ({
  id: `p-${number}`, title: `Shirt ${number}`, description: "A shirt.", slug: `shirt-${number}`, status: "active", visibility: "public",
  thumbnail: "https://cdn.shop.example/shirt.jpg", brand: { id: "acme", title: "Acme" }, variants: [{ id: `v-${number}`, sku: `S-${number}`, price: 189900 }],
});
const PAGES = ["/", "/items", "/items/v-1", "/issues", "/mapper", "/activity", "/activity?tab=audit", "/setup", "/settings", "/system"];

await test(async ({ admin, viewer, person }) => {
  const operator = await person("without-script", { javaScriptEnabled: false });
  const { page } = operator;
  const main = page.getByRole("main");
  const button = (name, within = main) => within.getByRole("button", { name });
  await operator.signIn(admin);
  await page.goto("/setup");
  await main.getByLabel("App ID").fill("1000000001");
  await main.getByLabel("App secret").fill("simulator-app-secret");
  await button("Save", main.locator("#app")).click();
  await button("Connect Facebook").click();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL("**/setup?done=connected");
  await page.goto("/setup/catalog");
  await main.getByLabel(/^Acme Master Catalog/).check();
  await button("Select this catalog").click();
  await page.goto("/setup");
  await main.getByLabel("Storefront", { exact: false }).first().fill("https://shop.example");
  await button("Save", main.locator("#shop")).click();
  const products = [1, 2, 3].map((number) => JSON.stringify(shirt(number))).join("\n");
  await main.getByLabel("File of products").setInputFiles({ name: "shirts.ndjson", mimeType: "application/x-ndjson", buffer: Buffer.from(products) });
  await button("Import", main.locator("#products")).click();
  await page.goto("/settings");
  await main.locator("#poll_interval_seconds").fill("10");
  await main.locator("#poll_interval_seconds").press("Enter");
  await page.goto("/setup/bootstrap");
  await button("Queue 3 variants").click();
  await button("Switch the sync on").click();

  const inStep = async () => {
    for (let look = 0; look < 120; look += 1) {
      await page.goto("/items?status=synced");
      if ((await main.getByRole("link", { name: /^Shirt/ }).count()) === 3) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error("the items never came to be in step");
  };
  await inStep();
  await page.goto("/items/v-1");
  await button("Push again").click();
  await page.getByText("1 item queued to be sent again").waitFor();
  await page.goto("/items/v-2/exclude");
  await button("Exclude").click();
  await page.getByText("1 item excluded").waitFor();
  for (const path of PAGES) {
    holds((await page.goto(path)).status() === 200, path);
    holds((await page.locator(".needs-script").evaluateAll((all) => all.filter((one) => one.checkVisibility()).length)) === 0, `${path} shows what needs a script`);
    await operator.look(`without-script${path.replace(/[^a-z]+/g, "-")}`);
  }

  const guest = await person("guest");
  await guest.signIn(viewer);
  for (const path of PAGES) {
    holds((await guest.page.goto(path)).status() === 200, path);
    holds((await guest.page.locator("main form[method=post]").count()) === 0, `${path} shows no form to those that may only look`);
    await guest.look(`viewer${path.replace(/[^a-z]+/g, "-")}`);
  }
});
