import { commands } from './plugins/commands';
import { declaration } from './plugins/declaration';
import { guided } from './plugins/guided';
import { launcher } from './plugins/launcher';
import { pages } from './plugins/pages';
import { panel } from './plugins/panel';
import { service } from './plugins/service';
import { statusbar } from './plugins/statusbar';
import { wizard } from './plugins/wizard';

export { IWorkbench } from './tokens';

export default [service, commands, panel, pages, wizard, launcher, statusbar, declaration, guided];
