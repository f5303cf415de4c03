import { MimeModel } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import { useSurroundings } from './context';

const PLOTLY = 'application/vnd.plotly.v1+json';

/** A plotly figure, drawn by JupyterLab's own renderer for it, which loads plotly when the first one is shown. */
export function Chart({ figure, title }: { figure: Record<string, unknown>; title: string }): React.JSX.Element {
  const { trans, rendermime } = useSurroundings();
  const place = React.useRef<HTMLDivElement>(null);
  const drawn = rendermime?.mimeTypes.includes(PLOTLY) ?? false;
  // A layout effect is undone while the place is still on the page; a widget cannot leave one that is gone.
  React.useLayoutEffect(() => {
    if (!drawn || !rendermime || !place.current) {
      return undefined;
    }
    const renderer = rendermime.createRenderer(PLOTLY);
    Widget.attach(renderer, place.current);
    const data = { [PLOTLY]: figure as never };
    void renderer.renderModel(new MimeModel({ data, trusted: true }));
    return () => renderer.dispose();
  }, [figure, drawn, rendermime]);
  return drawn ? (
    <div className="mw-chart" ref={place} role="img" aria-label={title} />
  ) : (
    <p className="mw-faint">{trans.__('No renderer for plotly is installed: the numbers are below.')}</p>
  );
}
