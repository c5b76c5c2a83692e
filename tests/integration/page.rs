//! The operator's page, read and used as a browser without script does: links are followed, forms are sent with the fields
//! that they have.

mod activity;
mod drift;
mod failures;
mod issues;
mod item;
mod items;
mod mapper;
mod settings;
mod setup;
mod sign_in;
mod system;

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, RequestBuilder, StatusCode};
use scraper::{ElementRef, Html, Selector};

use crate::http::installation::{Answer, Installation, answer, secret_of};

/// A browser without script, with the cookie of a session.
pub(crate) struct Browser<'i> {
    shop: &'i Installation,
    cookie: Option<String>,
}

/// A page that was loaded.
pub(crate) struct Page {
    /// The path with its query.
    pub(crate) path: String,
    /// The response.
    pub(crate) answer: Answer,
    html: Html,
}

/// A form of a page, as it would be sent.
#[derive(Debug)]
pub(crate) struct Form {
    action: String,
    method: Method,
    /// Names and values, in the order of the page.
    pub(crate) fields: Vec<(String, String)>,
}

fn selector(css: &str) -> Selector {
    Selector::parse(css).unwrap_or_else(|error| panic!("{css}: {error}"))
}

fn words(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl<'i> Browser<'i> {
    /// A browser that nobody signed in with.
    pub(crate) fn new(shop: &'i Installation) -> Self {
        Self { shop, cookie: None }
    }

    /// A browser of somebody who signed in through the form, with the API token of this role.
    pub(crate) async fn of(shop: &'i Installation, role: &str) -> Self {
        let mut browser = Self::new(shop);
        browser.sign_in(&secret_of(role)).await;
        assert!(browser.cookie.is_some(), "{role} is signed in");
        browser
    }

    /// Signs in through the form, and returns the response.
    pub(crate) async fn sign_in(&mut self, token: &str) -> Answer {
        let sent = self.request(Method::POST, "/sign-in").form(&[("token", token), ("next", "/items?status=failed")]);
        let told = answer(sent).await;
        let cookie = told.headers.get(SET_COOKIE).and_then(|value| value.to_str().ok());
        self.cookie = cookie.and_then(|cookie| Some(cookie.split_once(';')?.0.to_owned()));
        told
    }

    /// The cookie of the session.
    pub(crate) fn cookie(&self) -> &str {
        self.cookie.as_deref().unwrap_or_default()
    }

    /// A request with the headers of a browser that shows a page of this site.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.shop.anonymous(method, path).header("accept", "text/html").header(ORIGIN, self.shop.base());
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    /// Opens a page, and follows where it sends the browser.
    pub(crate) async fn open(&self, path: &str) -> Page {
        let told = answer(self.request(Method::GET, path)).await;
        self.follow(path, told).await
    }

    /// Sends the form of a page with these values in place of its own, and follows where it sends the browser.
    pub(crate) async fn submit(&self, page: &Page, css: &str, typed: &[(&str, &str)]) -> Page {
        let mut form = page.form(css);
        for (name, value) in typed {
            form.fields.retain(|(known, _)| known != name);
            form.fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let told = match form.method {
            Method::GET => answer(self.request(Method::GET, &form.action).query(&form.fields)).await,
            method => answer(self.request(method, &form.action).form(&form.fields)).await,
        };
        self.follow(&form.action, told).await
    }

    /// Sends the form of a page with a file in it, and follows where it sends the browser.
    pub(crate) async fn upload(&self, page: &Page, css: &str, file: &str, bytes: &[u8]) -> Page {
        const BOUNDARY: &str = "----the-end-of-a-part";
        let form = page.form(css);
        assert_eq!(page.attributes(css, "enctype"), ["multipart/form-data"]);
        let field = page.attributes(&format!("{css} input[type=file]"), "name").remove(0);
        let mut body = Vec::new();
        for (name, value) in &form.fields {
            let part = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{file}\"\r\n\
             content-type: application/wasm\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let sent = self.request(form.method, &form.action).header("content-type", kind).body(body);
        self.follow(&form.action, answer(sent).await).await
    }

    async fn follow(&self, path: &str, mut told: Answer) -> Page {
        let mut path = path.to_owned();
        for _ in 0..5 {
            if told.status != StatusCode::SEE_OTHER {
                let html = Html::parse_document(&told.text);
                return Page { path, answer: told, html };
            }
            let location = told.headers[LOCATION].to_str().expect("a path");
            path = location.strip_prefix(self.shop.base()).unwrap_or(location).to_owned();
            assert!(path.starts_with('/'), "a page of this site: {path}");
            told = answer(self.request(Method::GET, &path)).await;
        }
        panic!("{path}: too many redirects")
    }
}

impl Page {
    /// The texts of these elements, their blanks collapsed.
    pub(crate) fn texts(&self, css: &str) -> Vec<String> {
        self.html.select(&selector(css)).map(words).collect()
    }

    /// The text of the only such element.
    pub(crate) fn text(&self, css: &str) -> String {
        let mut texts = self.texts(css);
        assert_eq!(texts.len(), 1, "one {css} on {}: {texts:?}", self.path);
        texts.remove(0)
    }

    /// Whether there is such an element.
    pub(crate) fn has(&self, css: &str) -> bool {
        self.html.select(&selector(css)).next().is_some()
    }

    /// The values of an attribute of these elements.
    pub(crate) fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        self.html.select(&selector(css)).filter_map(|element| element.attr(name)).map(str::to_owned).collect()
    }

    /// The form with what a browser would send: the first such form, its fields with their values, without buttons.
    pub(crate) fn form(&self, css: &str) -> Form {
        let form = self.html.select(&selector(css)).next().unwrap_or_else(|| panic!("no {css} on {}", self.path));
        let method = if form.attr("method") == Some("post") { Method::POST } else { Method::GET };
        let action = form.attr("action").unwrap_or(&self.path).to_owned();
        let mut fields = Vec::new();
        for field in form.select(&selector("input, select, textarea")) {
            let Some(name) = field.attr("name").filter(|_| field.attr("disabled").is_none()) else { continue };
            let value = match (field.value().name(), field.attr("type")) {
                ("select", _) => {
                    let chosen = field.select(&selector("option[selected]")).next();
                    let first = || field.select(&selector("option")).next();
                    chosen
                        .or_else(first)
                        .map(|option| option.attr("value").map_or_else(|| words(option), str::to_owned))
                }
                ("textarea", _) => Some(field.text().collect()),
                (_, Some("checkbox" | "radio")) if field.attr("checked").is_none() => None,
                (_, Some("submit" | "button" | "file")) => None,
                _ => Some(field.attr("value").unwrap_or_default().to_owned()),
            };
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        Form { action, method, fields }
    }
}
