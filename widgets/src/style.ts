/** The panel's own root: its styles stay inside, the page's stay outside, its variables come through. */
import css from "./style.css";

let sheet: CSSStyleSheet | undefined;

export function styled(host: HTMLElement): ShadowRoot {
  host.classList.add("convexlab-live");
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
  }
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet];
  return root;
}
