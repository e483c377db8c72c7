//! The pages people look at: `/` and `/live/{sosId}`, with their scripts, styles and map.
//!
//! They are clients like any other: what they show comes over the REST API and the WebSocket, by the rules of both.
//! Nothing of an incident is put into a page here, so a page tells no more than its reader may ask for.

mod assets;
mod atlas;
mod policy;
mod serve;

use std::sync::{Arc, OnceLock};

use actix_web::web;

use crate::config;
use assets::Asset;

pub use serve::{asset, home, live, map};

/// Where scripts and styles lie; their version follows.
pub const ASSETS: &str = "/assets";

/// What the handlers share; the application's `web::Data`.
#[derive(Debug)]
pub struct Pages {
    settings: config::Pages,
    /// The origin that street tiles come from, other than our own.
    tiles: Option<String>,
    home: OnceLock<Asset>,
    live: OnceLock<Asset>,
}

impl Pages {
    /// By the settings, which have been checked.
    pub fn new(settings: &config::Pages) -> Arc<Self> {
        Arc::new(Self {
            tiles: policy::origin_of(&settings.tile_url),
            settings: settings.clone(),
            home: OnceLock::new(),
            live: OnceLock::new(),
        })
    }

    fn home(&self) -> &Asset {
        self.home.get_or_init(|| self.fill(assets::HOME))
    }

    fn live(&self) -> &Asset {
        self.live.get_or_init(|| self.fill(assets::LIVE))
    }

    /// A page with the settings in it. They are text in attributes, nothing else.
    fn fill(&self, template: &str) -> Asset {
        let settings = &self.settings;
        let page = template
            .replace("{{assets}}", &format!("{ASSETS}/{}", assets::version()))
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{tile_url}}", &escaped(&settings.tile_url))
            .replace("{{tile_attribution}}", &escaped(&settings.tile_attribution))
            .replace("{{tile_zoom_max}}", &settings.tile_zoom_max.to_string());
        Asset::page(page)
    }
}

/// Adds the pages, when they are on.
pub fn configure(pages: &Arc<Pages>, app: &mut web::ServiceConfig) {
    if !pages.settings.enabled {
        return;
    }
    app.app_data(web::Data::from(Arc::clone(pages)))
        .service(web::resource("/").get(home).head(home))
        .service(web::resource("/live/{sosId}").get(live).head(live))
        .service(
            web::resource(format!("{ASSETS}/{{version}}/map/cell/{{column}}/{{row}}"))
                .get(map)
                .head(map),
        )
        .service(
            web::resource(format!("{ASSETS}/{{version}}/{{path:.*}}"))
                .get(asset)
                .head(asset),
        );
}

/// Text for an attribute in double quotes.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
