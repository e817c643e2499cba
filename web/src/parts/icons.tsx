/*
 * icons: the few drawings of the dashboard, 20 by 20, in the colour of the text around them. Never the only label.
 */
import type { JSX } from "preact";

const shapes = {
  overview: <path d="M3 11.5h3l2.2-6 3.6 10 2.2-6.5h3" />,
  live: <path d="M3.5 5.5h13M3.5 10h13M3.5 14.5h8" />,
  types: <path d="M4 4h5v5H4zM11.5 4h4.5v5h-4.500zM4 11.500h5V16H4zM11.500 11.500H16V16h-4.500z" />,
  publish: <path d="M3.500 10 16.500 4l-4.500 12.500-2.800-4.700zM9.200 11.800 16.500 4" />,
  clients: <path d="M10 10.200a2.800 2.800 0 1 0 0-5.700 2.800 2.800 0 0 0 0 5.700zM4 16.500c.600-2.800 2.900-4.300 6-4.300s5.400 1.500 6 4.300" />,
  pause: <path d="M7 4.500v11M13 4.500v11" />,
  play: <path d="M6 4.200v11.600l9.500-5.800z" />,
  follow: <path d="M10 3.500v11M5.500 10.500 10 15l4.500-4.500" />,
  clock: <path d="M10 16.800a6.800 6.800 0 1 0 0-13.600 6.800 6.800 0 0 0 0 13.600zM10 6.200V10l2.600 1.800" />,
  close: <path d="m5 5 10 10M15 5 5 15" />,
  copy: <path d="M7.500 7.500h8.500v8.500H7.500zM12.500 7.500V4H4v8.500h3.500" />,
  terminal: <path d="m4 6 4 4-4 4M10 14.500h6" />,
  trace: <path d="M5.500 6.500a1.700 1.700 0 1 0 0-3.400 1.700 1.700 0 0 0 0 3.400zM14.500 16.900a1.700 1.700 0 1 0 0-3.400 1.700 1.700 0 0 0 0 3.400zM5.500 6.500v3c0 1.700 1 2.500 2.700 2.500h3.600c1.700 0 2.700.500 2.700 1.500" />,
  filter: <path d="M3.500 5h13l-5 6v4.500l-3-1.500v-3z" />,
  help: <path d="M7.500 7.600C7.500 6 8.600 5 10 5s2.600.900 2.600 2.300c0 2-2.600 2-2.600 4.200M10 14.700v.1" />,
  warning: <path d="M10 3.500 17.200 16H2.800zM10 8.200v3.600M10 13.900v.1" />,
  empty: <path d="M3.500 11.500 6 5h8l2.500 6.500v4h-13zM3.500 11.500h4l1 2h3l1-2h4" />,
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {shapes[name]}
    </svg>
  );
}
