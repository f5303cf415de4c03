import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import type { IRenderMime } from '@jupyterlab/rendermime';
import { PanelLayout, Widget } from '@lumino/widgets';

const MIME = 'application/vnd.plotly.v1+json';

/** Plotly's own extension as the server names it where it is not loaded at the start (`workbench/ui/server/on_demand.py`). */
type Named = { name: string; load: string; mimeExtension: string };
type Container = {
  init: (scope: unknown) => Promise<void> | void;
  get: (module: string) => Promise<() => { default: IRenderMime.IExtension | IRenderMime.IExtension[] }>;
};

declare const __webpack_share_scopes__: { default: unknown };

let theirs: Promise<IRenderMime.IRendererFactory> | null = null;

/** Plotly's renderer, loaded as JupyterLab loads any extension; asked for again where that failed. */
function renderer(): Promise<IRenderMime.IRendererFactory> {
  theirs ??= loaded(JSON.parse(PageConfig.getOption('plotlyOnDemand')) as Named).catch((error: unknown) => {
    theirs = null;
    throw error;
  });
  return theirs;
}

async function loaded({ name, load, mimeExtension }: Named): Promise<IRenderMime.IRendererFactory> {
  await script(URLExt.join(PageConfig.getOption('fullLabextensionsUrl'), name, load));
  const container = (window as unknown as { _JUPYTERLAB: Record<string, Container> })._JUPYTERLAB[name];
  await container.init(__webpack_share_scopes__.default);
  const module = (await container.get(mimeExtension))();
  return [module.default].flat()[0].rendererFactory;
}

function script(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const node = document.createElement('script');
    node.onload = () => resolve();
    node.onerror = () => reject(new Error(`Plotly could not be loaded from ${url}: reload the page to try again.`));
    node.src = url;
    document.head.appendChild(node);
  });
}

/** Where a chart will be: plotly draws in it once it is there. */
class Place extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly options: IRenderMime.IRendererOptions) {
    super();
    this.layout = new PanelLayout();
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const factory = await renderer();
    if (this.isDisposed) {
      return;
    }
    if (!this.drawn) {
      this.drawn = factory.createRenderer(this.options);
      (this.layout as PanelLayout).addWidget(this.drawn);
    }
    await this.drawn.renderModel(model);
  }

  private drawn: IRenderMime.IRenderer | null = null;
}

const extension: IRenderMime.IExtension = {
  id: 'migration-workbench:plotly',
  description: 'Draws plotly figures with its own renderer, loaded for the first of them.',
  rendererFactory: { safe: true, mimeTypes: [MIME], createRenderer: options => new Place(options) },
  rank: 2,
  dataType: 'json',
  fileTypes: [{ name: 'plotly', mimeTypes: [MIME], extensions: ['.plotly', '.plotly.json'] }],
  documentWidgetFactoryOptions: {
    name: 'Plotly',
    primaryFileType: 'plotly',
    fileTypes: ['plotly', 'json'],
    defaultFor: ['plotly']
  }
};

// Where plotly's own extension is loaded as ever, there is nothing to stand in for.
export default PageConfig.getOption('plotlyOnDemand') ? [extension] : [];
