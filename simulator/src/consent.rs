//! The consent page: plain HTML forms, so a browser or a test can click through.

use crate::oauth::Request;
use crate::params::Params;
use crate::world::World;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;color:#1c1e21}\
                     button{font:inherit;padding:.5rem 1.5rem;margin-right:.5rem;border:1px solid #888;border-radius:6px;\
                     background:#fff;cursor:pointer}button.main{background:#0a58ca;border-color:#0a58ca;color:#fff}\
                     fieldset{border:1px solid #ccc;border-radius:6px;margin:1rem 0}";

/// The page that asks.
pub(crate) fn page(world: &World, params: &Params, request: &Request) -> String {
    let hidden: String = ["client_id", "redirect_uri", "scope", "state", "response_type", "config_id"]
        .iter()
        .filter_map(|name| Some((name, params.text(name)?)))
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(&value)))
        .collect();
    let users: String = world
        .users
        .iter()
        .enumerate()
        .map(|(at, (id, user))| {
            let checked = if at == 0 { " checked" } else { "" };
            let (id, name) = (escape(id), escape(&user.name));
            format!("<label><input type=\"radio\" name=\"user\" value=\"{id}\"{checked}> {name}</label><br>\n")
        })
        .collect();
    let scopes: String = request.scopes.iter().map(|scope| {
        let scope = escape(scope);
        format!("<label><input type=\"checkbox\" name=\"grant.{scope}\" value=\"true\" checked> <code>{scope}</code></label><br>\n")
    }).collect();
    let app = escape(&world.config.app.name);
    document(
        "Log in",
        &format!(
            "<h1>{app} asks for access</h1>\n<p>This is the local simulator, not Facebook.</p>\n\
             <form method=\"post\" action=\"/dialog/consent\" id=\"allow\">\n{hidden}\
             <fieldset><legend>Continue as</legend>{users}</fieldset>\n\
             <fieldset><legend>Permissions</legend>{scopes}</fieldset>\n\
             <input type=\"hidden\" name=\"asked\" value=\"true\">\n\
             <button class=\"main\" name=\"decision\" value=\"allow\">Allow</button>\n</form>\n\
             <form method=\"post\" action=\"/dialog/consent\" id=\"deny\">\n{hidden}\
             <button name=\"decision\" value=\"deny\">Deny</button>\n</form>"
        ),
    )
}

/// The page for a request that cannot be sent back anywhere.
pub(crate) fn error_page(message: &str) -> String {
    document("Error", &format!("<h1>Sorry, something went wrong.</h1>\n<p>{}</p>", escape(message)))
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
