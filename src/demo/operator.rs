//! The operator of the demonstration: every step uses the real admin API and the real consent page.

use reqwest::header::LOCATION;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorError {
    /// The request got no answer.
    #[error("{step}: no answer")]
    Call {
        /// The step.
        step: &'static str,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not a success.
    #[error("{step}: status {status}: {body}")]
    Refused {
        /// The step.
        step: &'static str,
        /// The HTTP status.
        status: u16,
        /// The body of the answer.
        body: String,
    },
}

/// A browser with an API token.
#[derive(Debug)]
pub(crate) struct Operator {
    api: String,
    token: String,
    client: reqwest::Client,
}

type Result<T> = std::result::Result<T, OperatorError>;

impl Operator {
    /// Creates an operator for the API at `api`.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub(crate) fn new(api: String, token: String) -> Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|source| OperatorError::Call { step: "HTTP client setup", source })?;
        Ok(Self { api, token, client })
    }

    /// Writes settings of the group `meta`.
    ///
    /// # Errors
    /// When the API refuses them.
    pub(crate) async fn settings(&self, meta: &Value) -> Result<()> {
        self.call("settings", Method::PATCH, "/admin/settings/admin", Some(&json!({ "meta": meta }))).await?;
        Ok(())
    }

    /// Connects to Meta: start, consent page, Allow, callback.
    ///
    /// # Errors
    /// When a step fails.
    pub(crate) async fn connect(&self) -> Result<()> {
        let started = self.call("starting the consent", Method::GET, "/admin/meta/oauth/start", None).await?;
        let dialog = text(&started, "authUrl");
        let step = "the consent page";
        // What a browser posts when Allow is clicked: the page's hidden fields are the dialog's own parameters.
        let parsed = url::Url::parse(&dialog).map_err(|_| OperatorError::Refused {
            step,
            status: 0,
            body: format!("not a URL: {dialog}"),
        })?;
        send(step, self.client.get(parsed.clone())).await?;
        let mut form: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        form.push(("decision".into(), "allow".into()));
        let consent = parsed.join("/dialog/consent").map(|url| self.client.post(url).form(&form));
        let Ok(consent) = consent else {
            return Err(OperatorError::Refused { step, status: 0, body: "no consent form".into() });
        };
        let answer = consent.send().await.map_err(|source| OperatorError::Call { step, source })?;
        let Some(back) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned) else {
            return Err(refused(step, answer).await);
        };
        send("the OAuth callback", self.client.get(back)).await?;
        Ok(())
    }

    /// Selects the first catalog of the first business; returns its id.
    ///
    /// # Errors
    /// When a step fails.
    pub(crate) async fn select_first_catalog(&self) -> Result<String> {
        let businesses = self.call("listing businesses", Method::GET, "/admin/meta/businesses", None).await?;
        let business = &businesses[0];
        let catalog = &business["ownedCatalogs"][0];
        let body = json!({
            "businessId": business["id"], "businessName": business["name"],
            "catalogId": catalog["id"], "catalogName": catalog["name"],
        });
        self.call("selecting the catalog", Method::POST, "/admin/meta/select-catalog", Some(&body)).await?;
        Ok(text(catalog, "id"))
    }

    /// Queues every eligible variant; returns their number.
    ///
    /// # Errors
    /// When the API refuses.
    pub(crate) async fn bootstrap(&self) -> Result<u64> {
        let data = self.call("bootstrap", Method::POST, "/admin/meta/bootstrap", None).await?;
        Ok(data["enqueuedVariants"].as_u64().unwrap_or_default())
    }

    /// Returns the status.
    ///
    /// # Errors
    /// When the API does not answer.
    pub(crate) async fn status(&self) -> Result<Value> {
        self.call("status", Method::GET, "/admin/meta/status", None).await
    }

    async fn call(&self, step: &'static str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.api)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = send(step, request).await?;
        let mut envelope: Value = answer.json().await.map_err(|source| OperatorError::Call { step, source })?;
        Ok(envelope["data"].take())
    }
}

async fn send(step: &'static str, request: RequestBuilder) -> Result<Response> {
    let answer = request.send().await.map_err(|source| OperatorError::Call { step, source })?;
    if answer.status().is_success() { Ok(answer) } else { Err(refused(step, answer).await) }
}

async fn refused(step: &'static str, answer: Response) -> OperatorError {
    let status = answer.status().as_u16();
    OperatorError::Refused { step, status, body: answer.text().await.unwrap_or_default() }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
