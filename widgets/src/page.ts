/** What the page says of the Jupyter server that served it: where it is, and its token if a cookie will not do. */
import type { Address } from "./socket.ts";

const CONFIG = "jupyter-config-data";

/** The address of the deployment behind this page's Jupyter server; null outside of Jupyter's own pages. */
export function pageAddress(page: Document): Address | null {
  const text = page.getElementById(CONFIG)?.textContent;
  if (!text) return null;
  const config = JSON.parse(text) as { baseUrl?: string; appendToken?: unknown; token?: string };
  const append = String(config.appendToken ?? "").toLowerCase() === "true";
  return addressOf(
    new URL(config.baseUrl ?? "/", page.location.href).href,
    append && config.token ? config.token : null,
  );
}

export function addressOf(base: string, token: string | null): Address {
  return { url: `${base.endsWith("/") ? base : `${base}/`}convex`, token };
}

/** Whether a deployment can be reached there at all: Jupyter without our server extension answers 404. */
export async function reachable(address: Address): Promise<boolean> {
  try {
    const query = address.token ? `?token=${encodeURIComponent(address.token)}` : "";
    const answer = await fetch(`${address.url}/version${query}`, {
      signal: AbortSignal.timeout(4_000),
    });
    return answer.status !== 404;
  } catch {
    return true;
  }
}
