/// What a token may do with Secrets, as a rule of a Role says it.
///
/// ```
/// use secrets_testkit::fakes::k8s::Rule;
///
/// let reader = Rule::new("app", &["get", "watch"]).of(&["smtp-database"]);
/// # let _ = reader;
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    namespace: String,
    verbs: Vec<String>,
    /// Empty for all.
    names: Vec<String>,
}

impl Rule {
    /// These verbs on all Secrets of a namespace.
    pub fn new(namespace: &str, verbs: &[&str]) -> Self {
        Self {
            namespace: namespace.to_owned(),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            names: Vec::new(),
        }
    }

    /// Only on those of these names (`resourceNames`).
    #[must_use]
    pub fn of(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(super) fn everything() -> Self {
        Self::new("*", &["*"])
    }

    pub(super) fn is_everything(&self) -> bool {
        self.namespace == "*"
    }

    pub(super) fn allows(&self, verb: &str, namespace: &str, secret: Option<&str>) -> bool {
        let verbs = self.verbs.iter().any(|allowed| allowed == verb || allowed == "*");
        let names = self.names.is_empty()
            || secret.is_some_and(|secret| self.names.iter().any(|name| name == secret));
        verbs && names && self.concerns(namespace)
    }

    pub(super) fn concerns(&self, namespace: &str) -> bool {
        self.is_everything() || self.namespace == namespace
    }

    pub(super) fn verbs(&self) -> &[String] {
        &self.verbs
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}
