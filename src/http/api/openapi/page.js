"use strict";
// Shows openapi.json. Text goes into the page as text only, never as markup.

const element = (tag, ...children) => {
  const node = document.createElement(tag);
  node.append(...children);
  return node;
};

// `code` spans and paragraphs are all the markup that descriptions use.
const prose = (text = "") =>
  text.split("\n\n").map((paragraph) =>
    element("p", ...paragraph.split("`").map((part, index) => (index % 2 ? element("code", part) : part))));

const pretty = (value) => element("pre", JSON.stringify(value, null, 2));

const resolved = (api, schema) =>
  schema && schema.$ref
    ? schema.$ref.slice(2).split("/").reduce((at, key) => at[key], api)
    : schema;

const fold = (title, ...children) => element("details", element("summary", ...[title].flat()), ...children);

// Media of a body: its examples, and its schema with the one it refers to.
const media = (api, content = {}) =>
  Object.entries(content).flatMap(([kind, body]) => {
    const examples = body.examples ? Object.values(body.examples).map((one) => one.value) : [body.example];
    return [
      ...examples.filter((example) => example !== undefined).map(pretty),
      ...(body.schema ? [fold(`Schema (${kind})`, pretty(resolved(api, body.schema)))] : []),
    ];
  });

const parameters = (list) =>
  element("table", element("tr", ...["Parameter", "In", "Takes", ""].map((head) => element("th", head))),
    ...list.map((one) =>
      element("tr",
        element("td", element("code", one.name), one.required ? " *" : ""),
        element("td", one.in),
        element("td", element("code", JSON.stringify(one.schema))),
        element("td", ...prose(one.description)))));

const operation = (api, method, path, about) =>
  fold([element("b", method), element("code", path), " ", element("span", about.summary)],
    ...prose(about.description),
    ...(about.parameters ? [parameters(about.parameters)] : []),
    ...(about.requestBody ? [element("h4", "Body"), ...media(api, about.requestBody.content)] : []),
    element("h4", "Answers"),
    ...Object.entries(about.responses).map(([status, response]) =>
      fold(`${status}`, ...prose(response.description), ...media(api, response.content))));

const page = (api) => {
  const all = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, about]) => ({ method, path, about })));
  const link = element("a", "openapi.json");
  link.href = "openapi.json";
  return [
    element("h1", `${api.info.title} ${api.info.version}`),
    ...prose(api.info.description),
    element("p", "For programs: ", link),
    ...api.tags.flatMap((tag) => [
      element("h2", tag.name),
      ...prose(tag.description),
      ...all.filter(({ about }) => about.tags[0] === tag.name)
        .map(({ method, path, about }) => operation(api, method, path, about)),
    ]),
    element("h2", "Schemas"),
    ...Object.entries(api.components.schemas).map(([name, schema]) => fold(element("code", name), pretty(schema))),
  ];
};

fetch("openapi.json")
  .then((answer) => answer.json())
  .then((api) => document.getElementById("page").replaceChildren(...page(api)))
  .catch((error) => document.getElementById("page").replaceChildren(`openapi.json cannot be read: ${error}`));
