/**
 * Makes elements and keeps them up to date.
 *
 * Text becomes text nodes and nothing else: nobody's words are ever read as HTML. There is no other way in these modules to put
 * something on the page.
 */

/** An element's attributes: `true` is one without a value, `false` none. */
type Attributes = Readonly<Record<string, string | boolean>>

/** An element with these attributes and children. */
export const h = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[Tag] => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children)
  return element
}

/** A button that does something. `label` is what it is called where its text alone does not say it. */
export const button = (text: string, onPress: () => unknown, label?: string): HTMLButtonElement => {
  const element = h("button", { type: "button", ...(label === undefined ? {} : { "aria-label": label }) }, text)
  element.addEventListener("click", () => void onPress())
  return element
}

/** An element of the page, which has it from the start. */
export const find = <E extends HTMLElement>(id: string, kind: new() => E): E => {
  const element = document.getElementById(id)
  if (!(element instanceof kind)) throw new Error(`the page has no #${id}`)
  return element
}

/** Leaves what says so already alone: whoever reads along is told of changes only. */
export const setText = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text
}

/** What was said before the last few is not said any more. */
const remembered = 5

/** Says something to those who cannot see what changed. */
export const announce = (text: string): void => {
  const announcer = find("announcer", HTMLElement)
  // A line of its own: two things that happen at once are both said, and so is the same one twice.
  announcer.append(h("div", {}, text))
  while (announcer.childElementCount > remembered) announcer.firstElementChild?.remove()
}

/** An element of a list, and how it follows its item. */
export interface Row<A> {
  readonly element: HTMLElement
  readonly update: (item: A) => void
}

/**
 * A list that follows its items. What stays is left in place, so that a list which is read again every two seconds takes nobody's
 * focus away.
 */
export const keyed = <A>(
  parent: HTMLElement,
  keyOf: (item: A) => string,
  make: (item: A) => Row<A>
): (items: ReadonlyArray<A>) => void => {
  const rows = new Map<string, Row<A>>()
  return (items) => {
    const keys = new Set(items.map(keyOf))
    for (const [key, { element }] of rows) {
      if (keys.has(key)) continue
      element.remove()
      rows.delete(key)
    }
    items.forEach((item, index) => {
      const key = keyOf(item)
      const row = rows.get(key) ?? make(item)
      rows.set(key, row)
      row.update(item)
      const there = parent.children[index]
      if (there !== row.element) parent.insertBefore(row.element, there ?? null)
    })
  }
}

/** How good a state is, for its colour and its sign. The words beside them say the same. */
export type Mood = "good" | "unsure" | "bad"

const signs: Readonly<Record<Mood, string>> = { good: "✓", unsure: "…", bad: "✗" }

/** A state in words, with a sign. */
export const badge = (): { readonly element: HTMLElement; readonly update: (mood: Mood, text: string) => void } => {
  const sign = h("span", { "aria-hidden": "true" })
  const words = h("span")
  const element = h("span", { class: "state" }, sign, " ", words)
  return {
    element,
    update: (mood, text) => {
      element.dataset["mood"] = mood
      setText(sign, signs[mood])
      setText(words, text)
    }
  }
}

/** A row of a table whose cells are given as text or as elements, the first its heading. */
export const tableRow = (...cells: ReadonlyArray<Node | string>): HTMLTableRowElement =>
  h(
    "tr",
    {},
    ...cells.map((cell, index) => index === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell))
  )
