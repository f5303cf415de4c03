const PAGE = /^(cases|decide|notebook\/[a-z][a-z0-9_]{0,63})?$/;

/** The page a link of the preview leads to, as its frame told it; null for anything else. */
export function pageAsked(data: unknown): string | null {
  const page = (data as { preview?: unknown } | null | undefined)?.preview;
  return typeof page === 'string' && PAGE.test(page) ? page : null;
}
