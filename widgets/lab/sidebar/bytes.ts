const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

/** As people say it: `12.3 MB`. */
export function bytesText(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${unit > 0 && size < 100 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}
