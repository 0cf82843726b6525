// The model's own options as fields, from their JSON Schema.

const LEFT_OUT = new Set(["ssml"]);

export function drawOptions(place, schema) {
  place.replaceChildren();
  for (const [name, node] of Object.entries(schema.properties || {})) {
    if (LEFT_OUT.has(name)) continue;
    const field = fieldOf(name, resolved(node, schema));
    if (field) place.append(field);
  }
}

export function readOptions(place) {
  const options = {};
  for (const input of place.querySelectorAll("[data-option]")) {
    const { option, kind } = input.dataset;
    const value = kind === "boolean" ? input.value : input.value.trim();
    if (value === "") continue;
    if (kind === "boolean") options[option] = value === "true";
    else if (kind === "integer" || kind === "number") options[option] = Number(value);
    else options[option] = value;
  }
  return options;
}

export function writeOptions(place, options) {
  for (const input of place.querySelectorAll("[data-option]")) {
    const value = options[input.dataset.option];
    input.value = value === undefined ? "" : String(value);
  }
}

function resolved(node, schema) {
  if (node.$ref) return { ...schema.$defs[node.$ref.split("/").pop()], ...node };
  const choices = (node.anyOf || []).filter((choice) => choice.type !== "null");
  return choices.length === 1 ? { ...resolved(choices[0], schema), ...node } : node;
}

function fieldOf(name, node) {
  const kind = node.enum ? "enum" : node.type;
  if (!["enum", "boolean", "integer", "number", "string"].includes(kind)) return null;
  const id = `option-${name}`;
  const field = document.createElement("div");
  field.className = "field";
  const label = document.createElement("label");
  label.htmlFor = id;
  label.textContent = name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
  const input = kind === "enum" || kind === "boolean" ? selectOf(node, kind) : inputOf(node, kind);
  input.id = id;
  input.dataset.option = name;
  input.dataset.kind = kind;
  field.append(label, input);
  if (node.description) {
    const note = document.createElement("p");
    note.className = "note";
    note.id = `${id}-note`;
    note.textContent = node.description;
    input.setAttribute("aria-describedby", note.id);
    field.append(note);
  }
  const error = document.createElement("p");
  error.className = "error";
  error.id = `${name}-error`;
  error.hidden = true;
  field.append(error);
  return field;
}

function selectOf(node, kind) {
  const select = document.createElement("select");
  const values = kind === "boolean" ? ["true", "false"] : node.enum;
  const standard = node.default === undefined || node.default === null ? "the model's own" : String(node.default);
  select.append(new Option(`default (${standard})`, ""));
  for (const value of values) if (value !== null) select.append(new Option(String(value), String(value)));
  return select;
}

function inputOf(node, kind) {
  const input = document.createElement("input");
  input.autocomplete = "off";
  if (kind !== "string") {
    input.inputMode = kind === "integer" ? "numeric" : "decimal";
    const low = node.minimum ?? node.exclusiveMinimum;
    const high = node.maximum ?? node.exclusiveMaximum;
    input.title = [low !== undefined ? `from ${low}` : "", high !== undefined ? `to ${high}` : ""].join(" ").trim();
  }
  input.placeholder = node.default === undefined || node.default === null ? "" : String(node.default);
  return input;
}
