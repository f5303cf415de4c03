import { IFrame } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { pageAsked } from '../preview';

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
