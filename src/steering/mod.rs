//! steering.
