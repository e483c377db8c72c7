// Shows openapi.json and asyncapi.json. No markup is ever made from text: everything is built node by node.

const byId = (id) => document.getElementById(id);

/** An element; attributes in an object, then children: nodes, text, or lists of them. */
function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat(3).filter((child) => child != null && child !== false));
  return element;
}

const code = (text) => el("code", null, text);

/** Bold, code and links of Markdown. */
function inline(text) {
  const parts = [];
  const marks = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((\/[^)\s]*)\)/g;
  let from = 0;
  for (const match of text.matchAll(marks)) {
    parts.push(text.slice(from, match.index));
    if (match[1] != null) parts.push(code(match[1]));
    else if (match[2] != null) parts.push(el("strong", null, match[2]));
    else parts.push(el("a", { href: match[4] }, match[3]));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** Paragraphs and lists of Markdown. */
function prose(text) {
  return (text ?? "").split(/\n{2,}/).filter(Boolean).map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      return el("ul", null, lines.map((line) => el("li", null, inline(line.slice(2)))));
    }
    return el("p", null, inline(block));
  });
}

/** What a `$ref` of this document means. */
function resolve(documentOf, value) {
  if (!value?.$ref) return value;
  const path = value.$ref.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const found = path.reduce((at, part) => at?.[part], documentOf);
  return value.description ? { ...found, description: value.description } : found;
}

const nameOf = (schema) => schema?.$ref?.split("/").pop();

/** The kind of value in a few words. */
function typeOf(whole, schema) {
  if (schema == null) return "anything";
  const name = nameOf(schema);
  if (name) return name;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms && !schema.properties) return [...new Set(forms.map((form) => typeOf(whole, form)))].join(" or ");
  if (schema.allOf) return schema.allOf.map((part) => nameOf(part)).filter(Boolean).join(" and ") || "object";
  const types = [schema.type ?? "anything"].flat();
  return types.map((type) => (type === "array" && schema.items ? `list of ${typeOf(whole, schema.items)}` : type)).join(" or ");
}

/** The bounds of a value in a few words. */
function boundsOf(schema) {
  const says = [];
  if (schema.minimum != null) says.push(`≥ ${schema.minimum}`);
  if (schema.exclusiveMinimum != null) says.push(`> ${schema.exclusiveMinimum}`);
  if (schema.maximum != null) says.push(`≤ ${schema.maximum}`);
  if (schema.minLength != null || schema.maxLength != null) {
    says.push(`${schema.minLength ?? 0} to ${schema.maxLength ?? "any number of"} characters`);
  }
  if (schema.maxItems != null) says.push(`at most ${schema.maxItems}`);
  if (schema.format) says.push(schema.format);
  if (schema.default !== undefined) says.push(`default ${JSON.stringify(schema.default)}`);
  return says.join(", ");
}

function words(schema) {
  const all = (schema.enum ?? []).filter((word) => word !== null);
  return all.length ? el("div", { class: "bounds" }, all.flatMap((word) => [code(String(word)), " "])) : null;
}

/** A value's fields, each opened when it is asked for. */
function fields(whole, schema) {
  const known = resolve(whole, schema) ?? {};
  const parts = [known, ...(known.allOf ?? []).map((part) => resolve(whole, part))];
  const items = [];
  for (const part of parts) {
    const must = (name) => parts.some((one) => one?.required?.includes(name));
    const all = Object.entries(part?.properties ?? {}).filter(([name]) => part === known || !known.properties?.[name]);
    for (const required of [true, false]) {
      for (const [name, property] of all.filter(([name]) => must(name) === required)) {
        items.push(field(whole, name, property, required));
      }
    }
  }
  const list = items.length ? el("ul", { class: "fields" }, items) : null;
  const forms = (known.oneOf ?? []).filter((form) => form.properties);
  return [list, forms.map((form) => nested(whole, form, `if ${typeOf(whole, form.properties.type ?? form.properties.kind ?? form)}`))];
}

function field(whole, name, property, required) {
  const known = resolve(whole, property) ?? {};
  const bounds = boundsOf(known);
  return el("li", null,
    code(name), " ", el("span", { class: "type" }, typeOf(whole, property)),
    required ? el("span", { class: "must" }, " required") : null,
    bounds ? el("span", { class: "bounds" }, ` ${bounds}`) : null,
    known.description ? el("div", null, prose(known.description)) : null,
    words(known), inner(whole, known));
}

/** What lies inside: the object itself, one of several forms, or a list's items. */
function inner(whole, known) {
  const holds = (schema) => {
    const inside = resolve(whole, schema);
    return inside && (inside.properties || inside.allOf || inside.oneOf) ? schema : null;
  };
  const target = holds(known) ?? holds(known.items) ?? (known.anyOf ?? []).map(holds).find(Boolean);
  return target ? nested(whole, target, nameOf(target) ? `the fields of ${nameOf(target)}` : "its fields") : null;
}

function nested(whole, schema, title) {
  const details = el("details", { class: "schema" }, el("summary", null, title));
  details.addEventListener("toggle", () => {
    if (details.childElementCount === 1) details.append(...fields(whole, schema).flat().filter(Boolean));
  });
  return details;
}

function sample(title, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy: ${title}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return [el("h4", null, title), el("pre", { tabindex: "0" }, button, text)];
}

const slug = (text) => text.replaceAll(/[^A-Za-z0-9-]+/g, "-");

/** A card that is filled when it is opened first. */
function card(id, head, text, fill) {
  const inside = el("div", { class: "inside" });
  const details = el("details", { class: "card", id, "data-text": text.toLowerCase() }, el("summary", null, head), inside);
  details.addEventListener("toggle", () => {
    if (details.open && !inside.childElementCount) inside.append(...fill().flat(4).filter(Boolean));
  });
  return details;
}

// ---- REST ----

function curl(path, method, operation) {
  const lines = [`curl -s${method === "get" ? "" : ` -X ${method.toUpperCase()}`} '${location.origin}${path}'`];
  const ways = operation.security ?? [];
  const takes = (scheme) => ways.some((way) => scheme in way);
  if (!ways.some((way) => !Object.keys(way).length)) {
    if (takes("device")) lines.push("  -H 'X-Device-ID: 0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b60'");
    else if (takes("bearer")) lines.push("  -H \"Authorization: Bearer $TOKEN\"");
  }
  const examples = operation.requestBody?.content?.["application/json"]?.examples;
  const first = Object.values(examples ?? {})[0]?.value;
  if (first) lines.push("  -H 'Content-Type: application/json'", `  -d '${JSON.stringify(first).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n");
}

function credentials(whole, operation) {
  const ways = operation.security ?? [];
  const nameOfScheme = (scheme) => code(whole.components.securitySchemes[scheme]?.name ?? scheme);
  return el("p", null, "Credentials: ", ways.map((way, n) => [
    n ? ", or " : "", Object.keys(way).length ? Object.keys(way).map((scheme, k) => [k ? " with " : "", nameOfScheme(scheme)]) : "none",
  ]));
}

function answers(whole, operation) {
  return Object.entries(operation.responses).map(([status, response]) => {
    const details = el("details", { class: "answer" }, el("summary", null,
      el("span", { class: `status ${status < 400 ? "fine" : "not"}` }, status), " ", inline(response.description)));
    details.addEventListener("toggle", () => {
      if (details.childElementCount > 1) return;
      const headers = Object.entries(response.headers ?? {}).map(([name, header]) => {
        const known = resolve(whole, header);
        return el("li", null, code(name), known.required ? null : el("span", { class: "bounds" }, " sometimes"), " ", known.description);
      });
      details.append(el("h4", null, "Headers"), el("ul", null, headers));
      for (const [kind, media] of Object.entries(response.content ?? {})) {
        details.append(el("h4", null, kind), ...fields(whole, media.schema).flat().filter(Boolean));
        if (media.example !== undefined) details.append(...sample("Example", media.example));
        for (const [name, example] of Object.entries(media.examples ?? {})) details.append(...sample(name, example.value));
      }
    });
    return details;
  });
}

function operationCard(whole, path, method, operation) {
  const head = [el("span", { class: `method ${method}` }, method.toUpperCase()), el("h3", null, code(path)),
    el("span", { class: "what" }, operation.summary)];
  const text = [method, path, operation.summary, operation.operationId, operation.tags, JSON.stringify(operation.parameters ?? ""),
    JSON.stringify(resolve(whole, operation.requestBody?.content?.["application/json"]?.schema)?.properties ?? "")].join(" ");
  return card(`rest-${slug(operation.operationId)}`, head, text, () => {
    const parameters = (operation.parameters ?? []).map((parameter) => resolve(whole, parameter));
    const body = operation.requestBody?.content?.["application/json"];
    return [
      prose(operation.description), credentials(whole, operation),
      parameters.length ? [el("h4", null, "Parameters"), el("ul", { class: "fields" }, parameters.map((parameter) => {
        const shown = { ...resolve(whole, parameter.schema) };
        shown.description = parameter.description ?? shown.description;
        const item = field(whole, parameter.name, shown, parameter.required);
        item.querySelector(".type").append(`, in the ${parameter.in}`);
        return item;
      }))] : [],
      body ? [el("h4", null, operation.requestBody.required ? "Body" : "Body (may be missing)"), fields(whole, body.schema),
        Object.entries(body.examples ?? {}).map(([name, example]) => sample(`Example: ${name}`, example.value))] : [],
      sample("With curl", curl(path, method, operation)),
      el("h4", null, "Answers"), answers(whole, operation),
    ];
  });
}

function showRest(whole, section) {
  section.append(el("h1", { id: "rest-title" }, `${whole.info.title} ${whole.info.version}`), ...prose(whole.info.description),
    el("p", null, el("a", { href: "/openapi.json" }, "openapi.json"), ", OpenAPI ", whole.openapi));
  const groups = [];
  for (const tag of whole.tags) {
    const cards = Object.entries(whole.paths).flatMap(([path, methods]) => Object.entries(methods)
      .filter(([, operation]) => operation.tags.includes(tag.name))
      .map(([method, operation]) => operationCard(whole, path, method, operation)));
    if (!cards.length) continue;
    const id = `rest-tag-${slug(tag.name)}`;
    section.append(el("section", { "aria-labelledby": id }, el("h2", { id }, tag.name), el("p", null, tag.description), cards));
    groups.push([tag.name, cards]);
  }
  return groups;
}

// ---- WebSocket ----

function messageCard(whole, side, key, message) {
  const id = `socket-${slug(key)}`;
  const text = [key, message.summary, JSON.stringify(message.payload)].join(" ");
  const head = [el("span", { class: `method ${side}` }, side), el("h3", null, code(message.name)), el("span", { class: "what" }, message.summary)];
  return card(id, head, text, () => [
    fields(whole, message.payload),
    message.examples.map((example) => sample("Example", example.payload)),
  ]);
}

function table(caption, heads, rows) {
  return el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, el("table", null,
    el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", null, rows.map((row) => el("tr", null, row.map((cell) => el("td", null, cell)))))));
}

function showSocket(whole, section) {
  const channel = whole.channels.socket;
  section.append(el("h1", { id: "socket-title" }, `${whole.info.title} ${whole.info.version}`), ...prose(whole.info.description),
    el("p", null, el("a", { href: "/asyncapi.json" }, "asyncapi.json"), ", AsyncAPI ", whole.asyncapi),
    el("p", null, "Address: ", code(channel.address)));
  const connect = channel.bindings.ws;
  section.append(el("h2", null, "Connecting"), el("h3", null, "In the query"), ...fields(whole, connect.query).flat().filter(Boolean),
    el("h3", null, "In the headers"), ...fields(whole, connect.headers).flat().filter(Boolean));
  section.append(el("p", null, "Limits: ", Object.entries(channel["x-limits"]).map(([name, value], n) => [n ? ", " : "", `${name} `, code(String(value))])));
  const groups = [];
  for (const [side, title] of [["client", "What you send"], ["server", "What you get"]]) {
    const cards = Object.entries(whole.components.messages).filter(([key]) => key.startsWith(`${side}.`))
      .map(([key, message]) => messageCard(whole, side, key, message));
    section.append(el("section", { "aria-label": title }, el("h2", null, title), cards));
    groups.push([title, cards]);
  }
  section.append(el("h2", null, "Close codes"), table("Close codes", ["Code", "Meaning", "Text", "Come back"],
    channel["x-close-codes"].map((entry) => [code(String(entry.code)), inline(entry.meaning), entry.text, entry.reconnect ? "yes" : "no"])));
  section.append(el("h2", null, "Refused before the upgrade"), table("Refusals", ["Status", "Code", "Message"],
    channel["x-refusals"].map((entry) => [String(entry.status), code(entry.code), entry.example.message])));
  const events = whole.channels.socketio;
  section.append(el("h2", null, events.title), el("p", null, "Address: ", code(events.address)), ...prose(events.description));
  for (const [side, title] of [["client", "Socket.IO: what you emit"], ["server", "Socket.IO: what you hear"]]) {
    const cards = Object.entries(whole.components.messages).filter(([key]) => key.startsWith(`socketio.${side}.`))
      .map(([key, message]) => messageCard(whole, side, key, message));
    section.append(el("section", { "aria-label": title }, el("h2", null, title), cards));
    groups.push([title, cards]);
  }
  return groups;
}

// ---- the page ----

const shown = {};

function contents(tab) {
  byId("contents").replaceChildren(...(shown[tab] ?? []).flatMap(([title, cards]) => {
    const visible = cards.filter((one) => !one.hidden);
    return visible.length ? [el("h2", null, title), el("ul", null, visible.map((one) => el("li", null,
      el("a", { href: `#${one.id}` }, one.querySelector("h3").textContent, " ",
        el("span", { class: "what" }, one.querySelector(".method").textContent)))))] : [];
  }));
}

/** Shows what the address names. */
function go() {
  const id = decodeURIComponent(location.hash.slice(1)) || "rest";
  const tab = id.startsWith("socket") ? "socket" : "rest";
  for (const name of ["rest", "socket"]) byId(name).hidden = name !== tab;
  for (const link of document.querySelectorAll("[data-tab]")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  contents(tab);
  const target = byId(id);
  if (target?.matches("details")) {
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  }
}

function find() {
  const wanted = byId("find").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const one of document.querySelectorAll(".card")) {
    one.hidden = !wanted.every((word) => one.dataset.text.includes(word));
    if (!one.hidden) left += 1;
  }
  byId("state").textContent = wanted.length ? `${left} found` : "";
  contents(byId("rest").hidden ? "socket" : "rest");
}

async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

async function start() {
  try {
    const [rest, socket] = await Promise.all([read("/openapi.json"), read("/asyncapi.json")]);
    shown.rest = showRest(rest, byId("rest"));
    shown.socket = showSocket(socket, byId("socket"));
    byId("state").textContent = "";
  } catch (error) {
    byId("state").textContent = `The documents cannot be shown: ${error.message}`;
    return;
  }
  addEventListener("hashchange", go);
  byId("find").addEventListener("input", find);
  document.querySelector(".find").addEventListener("submit", (event) => event.preventDefault());
  go();
}

start();
