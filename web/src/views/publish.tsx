/* publish */
export function PublishView() { return <p/>; }
