//! From an upgraded HTTP connection to WebSocket frames and back. Knows no rooms.
