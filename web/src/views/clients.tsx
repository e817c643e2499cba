/* clients */
export function ClientsView() { return <p/>; }
