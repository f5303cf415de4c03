import { MimeModel } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import { useSurroundings } from './context';

const PLOTLY = 'application/vnd.plotly.v1+json';

/** A plotly figure, drawn by plotly's own renderer for JupyterLab, which is loaded when the first one is shown. */
export function Chart({ figure, title }: { figure: Record<string, unknown>; title: string }): React.JSX.Element {
  const { trans, rendermime } = useSurroundings();
  const place = React.useRef<HTMLDivElement>(null);
  const [failed, setFailed] = React.useState('');
  const drawn = rendermime?.mimeTypes.includes(PLOTLY) ?? false;
  // A layout effect is undone while the place is still on the page; a widget cannot leave one that is gone.
  React.useLayoutEffect(() => {
    if (!drawn || !rendermime || !place.current) {
      return undefined;
    }
    const renderer = rendermime.createRenderer(PLOTLY);
    Widget.attach(renderer, place.current);
    const data = { [PLOTLY]: figure as never };
    renderer.renderModel(new MimeModel({ data, trusted: true })).catch((error: unknown) => {
      if (!renderer.isDisposed) {
        setFailed(error instanceof Error ? error.message : String(error));
      }
    });
    return () => renderer.dispose();
  }, [figure, drawn, rendermime]);
  const missing = drawn ? failed : trans.__('No renderer for plotly is installed: the numbers are below.');
  return (
    <>
      {missing && <p className="mw-faint">{missing}</p>}
      {drawn && <div className="mw-chart" ref={place} role="img" aria-label={title} hidden={!!failed} />}
    </>
  );
}
