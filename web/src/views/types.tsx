/* types */
export function TypesView() { return <p/>; }
