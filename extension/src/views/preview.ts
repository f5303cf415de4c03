import { IFrame } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';

const PAGE = /^(cases|decide|notebook\/[a-z][a-z0-9_]{0,63})?$/;

/** The page a link of the preview leads to, as its frame told it; null for anything else. */
export function pageAsked(data: unknown): string | null {
  const page = (data as { preview?: unknown } | null)?.preview;
  return typeof page === 'string' && PAGE.test(page) ? page : null;
}

/**
 * What a reviewer will see, page by page.
 *
 * The frame may run the page's own script and reach nothing of Lab's: it has no origin, so it asks for the next page.
 */
export class PreviewWidget extends IFrame {
  constructor(
    private readonly address: (page: string) => string,
    page: string,
    label: string
  ) {
    super({ sandbox: ['allow-scripts', 'allow-downloads'], loading: 'eager' });
    this.addClass('mw-Preview');
    this.frame = this.node.querySelector('iframe')!;
    this.title.label = this.frame.title = label;
    this.url = address(page);
  }

  handleEvent(event: MessageEvent): void {
    const page = event.source === this.frame.contentWindow ? pageAsked(event.data) : null;
    if (page !== null) {
      this.url = this.address(page);
    }
  }

  protected onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    window.addEventListener('message', this);
  }

  protected onBeforeDetach(message: Message): void {
    window.removeEventListener('message', this);
    super.onBeforeDetach(message);
  }

  private readonly frame: HTMLIFrameElement;
}
