//! The patterns of the scanner. They are held against text in lower case, in which look-alike characters are plain,
//! hidden ones are gone and every run of space is one space; see `scan`.
//!
//! What a person should read before the model does is `Quarantine`. What good servers also say ("call this first") is
//! a `Note`: held back by default it would only teach people to approve without reading.

use super::finding::Severity::{self, Note, Quarantine};
use regex::bytes::{Regex, RegexBuilder};
use std::sync::LazyLock;

/// A pattern that speaks against a definition.
pub(super) struct Rule {
    pub id: &'static str,
    pub severity: Severity,
    pub pattern: Regex,
}

/// How large one compiled pattern may be, in bytes. Far more than any of them takes.
const MOST_BYTES: usize = 4 << 20;

/// All rules, compiled when something is scanned for the first time.
pub(super) static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let compiled = PATTERNS.iter().map(|(id, severity, pattern)| {
        let pattern = RegexBuilder::new(pattern).unicode(false).ignore_whitespace(true).size_limit(MOST_BYTES).build();
        Rule { id, severity: *severity, pattern: pattern.expect("a pattern of ours; a test compiles them all") }
    });
    compiled.collect()
});

const PATTERNS: &[(&str, Severity, &str)] = &[
    // Mark-up that makes a part of a description look like something else than a description.
    (
        "poison.tag",
        Quarantine,
        r"<[\ /]*(important|system|hidden|secret|instructions?|admin|override|critical|assistant|developer|sys|
            system[\ _-]?(prompt|message|note|override)|mandatory|internal|priority)\b[^<>]{0,60}>
          | <\|?(im_start|im_end|endoftext|begin_of_text|start_header_id|eot_id)\|?>
          | \[/?inst\] | <<sys>>
          | [\[\(\{<]\ ?(system|admin|hidden|secret|internal)\ ?(prompt|message|note|override|instructions?|update|directive|notice|alert|mode|only)?\ ?[\]\)\}>]\ *:?\ *\b(you|ignore|read|send|always|do|the|from|all|forward|include|execute|disregard|new|when|before|after|never)\b
          | \#{2,}\ ?(system\ (prompt|instructions?|message|override|note|update)\b|new\ instructions?|instructions?\ (for|to)\ the\ (model|assistant|ai|agent|llm))
          | <!--[^>]{0,200}\b(ignore\ (all|any|the|previous|prior|your)|assistant|copilot|claude|chatgpt|gemini|llm|agent|ai\ model|
             instructions?|system\ prompt|exfil\w*|read\ (the|~|/)|send\ )[^>]{0,200}-->
          | -{3,}\ ?(end|begin|start)\ (of\ )?(the\ )?(tool|description|system|prompt|instructions?|user|context)\b
          | \bsystem:\ (you|for|always|ignore|the|from|new|note|please|do|never|all)\b
          | \[\ ?(important|action\ required|critical|urgent|mandatory)\ ?\].{0,120}\b(use\ this|run\ this|call\ this|execute\ this|just\ use|rather\ than|modify|read|send|forward|immediately)\b",
    ),
    // What was said before shall no longer count.
    (
        "poison.ignore",
        Quarantine,
        r"\b(ignor(e|ing)|disregard(ing)?|forget(ting)?|overrid(e|es|ing)|bypass(ing)?|supersedes?|discard|neglect|
             do\ not\ (follow|obey|comply)|stop\ following|not\ bound\ by|circumvent)\b
          (\ [\w',-]+){0,4}?\ (previous|prior|above|earlier|preceding|system|safety|security|original|developer|foregoing|
             former|initial|default|all|any|your|content|ethical|user'?s?)\b
          (\ [\w',-]+){0,2}?\ (instructions?|prompts?|guidelines?|guardrails?|directives?|restrictions?|constraints?|
             polic(y|ies)|filters?|safeguards?|safety|commands?|context|rules|checks|messages|warnings)\b",
    ),
    (
        "poison.role",
        Quarantine,
        r"\byou\ are\ (now|no\ longer)\ (an?\ |the\ |in\ )?(\w+\ )?(admin|root|developer|dan|unrestricted|unfiltered|jailbr\w+|different|
             new|evil|free|bound|an?\ ai|assistant|debug|maintenance|god|restricted|superuser|operating|acting)
          | \bfrom\ (now|this\ (point|moment))\ on(wards?)?,?\ (you|your|all|always|every|never|ignore|the\ (assistant|agent|model))\b
          | \b(new|updated|real|actual|true|hidden|secret)\ (system\ )?(instructions?|prompt|directives?)\ ?:
          | \b(developer|debug|god|maintenance|dan|sudo|jailbreak|unrestricted|admin)\ mode\ (is\ )?(now\ )?(enabled|activated|active|unlocked)\b
          | \b(act|behave|respond|operate)\ as\ (if\ you\ (were|are|have|had)\ )?(an?\ |the\ )?(unrestricted|unfiltered|jailbroken|root|superuser|uncensored|administrator)
          | \bpretend\ (that\ )?you\ (are|have)\b
          | \byour\ (new|real|true|primary|actual)\ (task|goal|objective|role|purpose|mission|instructions?)\ (is|are)\b",
    ),
    // The person shall not see what happens.
    (
        "poison.conceal",
        Quarantine,
        r"\b(do\ not|don't|dont|never|without|must\ not|should\ not|shouldn't|avoid|refrain\ from|no\ need\ to|not\ to|cannot)\b
          (\ [\w',/-]+){0,4}?\ (tell|telling|inform|informing|mention|mentioning|notify|notifying|reveal|revealing|disclose|
             disclosing|alert|alerting|warn|warning|report|reporting|log|explain|explaining|show|showing|display|displaying|let)\b
          (\ [\w',/-]+){0,5}?\ (users?|humans?|operators?|anyone|anybody|person|people|customers?|owner|developer)\b
          | \b(hide|hiding|conceal|concealing|keep|keeping|suppress|suppressing)\b(\ [\w',/-]+){0,5}?\ (from|secret\ from|hidden\ from)\ (the\ |any\ |all\ )?(users?|humans?|operators?|owner|customers?|anyone)\b
          | \b(user|human|operator)s?\ (must|should|may|can|will|does|do|need|is)\ ?(not|never|n't|not\ be|remain|stay)\ (\w+\ ){0,3}?(know|see|notice|learn|aware|told|informed|notified|find\ out|suspect|realize|unaware)\b
          | \b(discreetly|without\ leaving\ (any\ |a\ )?traces?|(goes|go|remains?|stays?)\ unnoticed|cover\ (your|the|our)\ tracks|evad\w+\ detection)\b
          | \bso\ (that\ )?(the\ )?(user|human|operator|reviewer)s?\ (never|does\ ?n[o']t|do\ not|won't|will\ not|can't|cannot)\ (\w+\ )?(see|notice|know|suspect|find|realize)s?\b
          | \b(silently|secretly|covertly|quietly|invisibly|surreptitiously|stealthily|unnoticed|without\ (the\ )?(user'?s?|human'?s?|operator'?s?)?\ ?(knowledge|awareness|noticing|knowing))\b
            (\ [\w',/-]+){0,6}?\ (send|sends|forward|forwards|upload|uploads|copy|copies|exfiltrat\w+|collect|collects|transmit|transmits|post|posts|install|installs|execute|executes|
               register|registers|modif\w+|read|reads|delete|deletes|include|includes|record|records|log|logs|capture|captures|bcc|redirect|add|adds|run|runs|grant|grants|escalate|harvest|harvests)\b",
    ),
    // A person who should be asked is not.
    (
        "poison.consent",
        Quarantine,
        r"\b(without|skip|skipping|bypass|bypassing|no\ need\ (for|to)|do\ not|don't|never|circumvent\w*|not\ require|ignore|no)\b
          (\ [\w',/-]+){0,6}?\ (user|user's|human|human's|operator|operator's|their|explicit)\ (\w+\ )?(confirmation|approval|consent|permission|authorization|review|verification)\b
          | \bwithout\ (ever\ |first\ )?(asking|consulting|prompting|notifying|telling|informing)\ (the\ |any\ )?(user|human|operator|person|anyone)\b
          | \bwithout\ (any\ )?(consent|approval|permission)\ or\ (any\ )?\w+
          | \b(assume|treat|consider)\b(\ [\w',/-]+){0,5}?\ (user|consent|approval|permission|authorization)(\ [\w',/-]+){0,3}?\ (granted|given|approved|consented|agreed|authorized|implicit|implied)\b
          | \b(user|human|operator)('s)?\ (has|have|is)\ (already|implicitly|automatically|pre-?)\ ?(\w+\ )?(consented|approved|agreed|authorized|granted|given)\b
          | \b(consent|approval|permission|authorization)\ (is|has\ been)\ (already|implicitly|automatically|assumed|pre-?)\ ?(granted|given|approved|obtained|implied|assumed)?\b
          | \b(pre-?|auto-?)(approved|authorized|consented)\b.{0,40}\b(no|without|skip|further)\b
          | \bby\ (using|calling|invoking|enabling|installing)\ this\ (tool|function|server|skill|plugin)(\ [\w',/-]+){0,3}?\ (user|you)\ (\w+\ )?(agrees?|consents?|authoriz\w+|grants?|accepts?|permits?)\b
          | \bauto-?(approve|confirm|accept)s?\ (all|every|any|subsequent|future)\b",
    ),
    // Files with secrets, together with a verb that takes them.
    (
        "poison.secrets",
        Quarantine,
        r"\b(read|cat|fetch|retrieve|access|extract|collect|include|pass|send|copy|attach|upload|append|
             contents?\ of|paste|provide|dump|exfiltrat\w+|steal|harvest|called\ with|path\ ?=)[^\w]
          .{0,60}?
          (\.ssh/|id_rsa\b|id_ed25519\b|id_ecdsa\b|\.aws/credentials|/etc/(passwd|shadow)\b|\.cursor/mcp\.json|claude_desktop_config|\.claude/|
             \.codex/(auth|config)|\.netrc\b|\.npmrc\b|\.pypirc\b|\.kube/config|\.git-credentials|\.docker/config\.json|\.gnupg/|wallet\.dat|
             \.bash_history|\.zsh_history|(^|[\s/'\x22(])\.env(\.\w+)?\b|keychain|browser\ cookies)
          | (contents?|values?|data)_(from|of)_\w*(ssh|id_rsa|dot_?env|passwd|shadow|credential|secret|private_key)",
    ),
    // What was said in confidence shall go somewhere.
    (
        "poison.exfiltrate",
        Quarantine,
        r"\b(send|sends|forward|forwards|upload|uploads|transmit|transmits|exfiltrat\w+|leak|leaks|include|includes|append|appends|attach|attaches|embed|embeds|pass|
             passes|post|posts|copy|copies|put|insert|provide|save|store|encode|place|dump|paste|report|relay|share|submit|write|add|adds|supply|fill|summariz\w+)\b
          (\ ?[\w'\x22.,/:()<>\[\]-]+){0,8}?\ (conversation(s|\ history|\ context|\ log|\ transcript|\ content)?|chat\ (history|log|transcript|context|messages)|(the|your)\ system\ prompt|
             (previous|prior|entire|full|all)\ (user\ )?(messages|conversation|context|exchanges|turns)|message\ history|session\ history|(your|internal)\ (instructions|reasoning|chain\ of\ thought))\b
          | \b(system\ prompt|conversation\ history|chat\ history|full\ conversation|previous\ messages|session\ history)\b.{0,60}\b(in|into|as|via|through|to|within)\ (the|this|a|an|your)\ (\w+\ |'\w+'\ |\x22\w+\x22\ ){0,2}(parameter|param|argument|field|header|url|query|notes?|request|call|endpoint|webhook|server)\b
          | \b(parameter|param|argument|field|notes)\b.{0,80}\b(chat\ history|conversation\ history|message\ history|usr\ hist|full\ conversation|previous\ messages)\b
          | \b(parameter|param|argument|field|notes?)\b.{0,40}\b(must|should|always|need)\b.{0,40}\b(system\ prompt|conversation|chat\ (history|log)|previous\ (messages|responses)|credentials|api\ keys?|passwords?|environment\ variables)\b
          | \b(send|forward|upload|transmit|exfiltrate|post|leak|relay|copy|bcc|cc|mirror|beacon)s?\b(\ ?[\w',/()-]+){0,10}?\ (to|with|at)\ (the\ |this\ |our\ |an?\ |my\ )?(\w+\ ){0,3}?
            (https?://|attacker|collector|c2\b|webhook\.site|ngrok|pastebin)
          | \b(bcc|cc|copy|forward|leak|exfiltrate|(send|mail)\ (all|every|each|any|it\ all)|(also|always|secretly|must)\ send)\b(\ ?[\w',/()-]+){0,8}?\ (to\ )?[\w.+-]+@[\w-]+\.\w+
          | \b(send|forward|upload|transmit|exfiltrate|post|leak|relay|copy|mirror)\ (all|every|any|each|the|their|user|your)\b(\ ?[\w',/()-]+){0,6}?\ to\ (the\ |this\ |our\ |an?\ |my\ )?(external|remote|[\w-]+(\.[\w-]+)*\.(com|net|org|io|dev|example|tld|ru|cn|xyz|sh|co)\b)
          | \b(exfiltrat|steal\ (the\ |all\ |user|your|any))\w*",
    ),
    // One tool that says what others do, or what happens whenever it is there.
    (
        "poison.other_tools",
        Quarantine,
        r"\b(when|whenever|if|once|while|as\ soon\ as|because|after)\ this\ (\w+\ )?(tool|server|mcp(\ server)?|skill|plugin|extension|function)\ (is|was|becomes|gets|has\ been)\ (available|loaded|installed|present|enabled|active|listed|connected|approved|registered|in\ context)\b
          | \b(all|any|every|each|other|another|subsequent|future)\ (of\ the\ )?(other\ |subsequent\ |future\ |mail-sending\ |available\ )?(tools?|tool\ calls|calls|requests|function\ calls|messages|emails|responses|interactions|invocations)\b(\ [\w',-]+){0,3}?\ (must|should|need\ to|have\ to|shall|are\ to)\ (\w+\ ){0,2}?(be\ (sent|routed|redirected|forwarded|replaced|passed|copied|prefixed|preceded)|include|also|first|go\ through|use|call|pass|contain|send)\b
          | \b(change|changes|modify|modifies|alter|redirect|replace|override|intercept|hijack|shadow)\w*\ (the\ )?(behaviou?r|recipient|output|results?|arguments?|parameters?|calls?|description)s?\ (of|to|from|for)\ (the\ |any\ |all\ |every\ )?(\w+\ )?(other|another|existing|trusted|legitimate)\b
          | \b(instead\ of|rather\ than|in\ place\ of)\ (calling|using|invoking|the)\b(\ [\w'-]+){0,3}?\ (original|legitimate|real|trusted|official)\b
          | \b(on|in|during|after|from)\ (the\ )?(next|second|third|subsequent|later|future)\ (invocation|call|run|use|execution)s?\b.{0,60}\b(read|send|post|upload|switch|replace|execute|run\ (a|the|this)|exfil|activate|inject|instead|redefine)
          | \b(replace|modify|correct|fix|overwrite|override)\w*\ (the\ )?(wrong|incorrect|erroneous|faulty)\ (results?|outputs?|values?|answers?)\b
          | \breplaces?\ the\ (official|original|trusted|legitimate|built-?in)\b | \bimpersonat\w+\ the\b
          | \b(now\ that|once|since|after)\ (this|the)\ (tool|server|skill)\ (is|was|has\ been)\ (trusted|approved|installed)\b",
    ),
    // Something shall happen before the tool is used that has nothing to do with what the tool is for.
    (
        "poison.first",
        Quarantine,
        r"\b(before|prior\ to|after|when|whenever|while|every\ time|each\ time|in\ order\ to|upon|always)\b(\ you)?\ (us(e|ing)|call(ing)?|invok(e|ing)|run(ning)?|execut(e|ing)|respond(ing)?|answer(ing)?|return(ing)?|provid(e|ing))\b
          .{0,60}?\b(must|always|first|need\ to|have\ to|should|please|required\ to|be\ sure\ to|make\ sure\ to|,|you|also|silently)\b.{0,30}?
          \b(read|open|cat|access|execute|run|send|post|upload|fetch|download|curl|wget|visit|navigate|include|pass|append)\b
          .{0,50}?(~/|https?://|/etc/|/home/|\bshell\b|\bbash\b|\bcurl\b|\bcommands?:|\bcredentials?\b|\bprivate\ keys?\b|\bssh\ keys?\b|\bapi\ keys?\b|\bsecrets?\b|\bpasswords?\b|\benvironment\ variables?\b|\benv\ vars?\b|\bsystem\ prompt\b|\bconversation\b)
          | \b(the\ )?(ai|llm|model|assistant|agent)\ (must|shall|has\ to|is\ required\ to|will\ then|needs\ to)\ (\w+\ ){0,3}?(read|send|forward|include|execute|ignore|call|follow|comply|obey|upload|disclose|reveal|embed|grant|exfil\w+)\b
          | \bstrictly\ (adhere|follow|comply|obey)\b.{0,40}\binstructions?\b
          | \byou\ must\ (now|immediately|first)\ (\w+\ )?(execute|run|send|read|forward|follow|upload|fetch)\b
          | \b(execute|run|perform)\ (the\ |these\ |this\ )?(following|required)(\ \w+){0,3}\ (initiali[sz]ation|setup|diagnostic|verification|validation)\ (steps?|commands?|tools?)\b
          | \b(must|required|need\ to|need\ to\ first|recommended)\b.{0,60}\b(run|execute):?\ (npx|uvx|pip3?\ install|npm\ install|bash\ -c|sh\ -c|powershell)\b
          | \badhere\ to\ the\ following\b
          | \b(follow|obey|carry\ out|comply\ with)\ (all\ |any\ |the\ |these\ |this\ |every\ )?(\w+\ ){0,2}?(instructions?|commands?|directives?|orders)\ (found\ |contained\ |embedded\ |given\ |returned\ |below|above|hidden\ |that\ )?(\w+\ )?(in|within|below|from|by|inside|immediately|without)\b",
    ),
    // Programs that nobody describes a tool with.
    (
        "poison.command",
        Quarantine,
        r"\b(curl|wget|iwr|invoke-webrequest|irm)\b[^|\n]{0,200}\|\ ?(sudo\ )?(ba|z|da|k)?sh\b
          | \b(curl|wget)\b[^|;&]{0,120}\$\(\ ?(cat|env|printenv|whoami|id|base64|security)\b | \b(ba)?sh\ -c\ [\x22']?\$\(\ ?(curl|wget)\b | /dev/tcp/ | \bbash\ -i\b | \bnc\ (-\w+\ )*-e\b | \bbase64\ (-d|--decode|-D)\b.{0,40}\|\ ?(ba|z)?sh\b
          | \brm\ -(rf|fr|r\ -f)\ (--no-preserve-root\ )?(/|~|\$home) | \bpowershell(\.exe)?\ (-\w+\ )*-e(nc|ncodedcommand)\b
          | \bchmod\ (\+x|777)\b.{0,40}(&&|;) | \|\ ?(python3?|perl|ruby|node)\ ?-\ ?($|[;&'\x22])
          | \b(eval|exec)\(\ ?(atob|base64|__import__|compile)\b | \bimport\ os;?\ *os\.system\b | \bmkfifo\b
          | (\|\ ?crontab\ - | >>?\ ?\S{0,40}(\.bashrc|\.zshrc|\.profile|/authorized_keys))",
    ),
    // What wants to be chosen.
    (
        "prefer.always",
        Note,
        r"\b(always|must|only|should\ always|exclusively)\ (use|call|prefer|choose|select|pick|invoke|run)\ (this|our|the\ following)\b
          | \b(this|our)\ (tool|function|server)\ (must|should|has\ to|needs\ to)\ (always\ )?be\ (used|called|invoked|chosen|preferred|run)\b
          | \b(use|call|invoke|run|prefer|choose)\ (this|our|it)\ (\w+\ )?(first|exclusively|before\ (any|all|every|other))\b
          | \b(instead\ of|rather\ than|over|in\ place\ of|do\ not\ use|don't\ use|never\ use|avoid)\ (using\ |calling\ )?(any\ |all\ |the\ |every\ )?(other|another|alternative|competing|similar)\ (\w+\ )?(tools?|functions?|servers?)\b
          | \b(highest|top|maximum|absolute)\ priority\b
          | \b(the\ )?(best|only|superior|preferred|official|most\ (accurate|reliable|powerful|trusted|complete|advanced))\ (\w+\ )?(tool|choice|option|server)\b
          | \bmandatory\ first\ step\b | \bdrop-in\ replacement\ for\ the\ official\b | \bdo\ not\ use\ other\ tools\b
          | \b(use|call|run)\ this\ (tool|function)\ rather\ than\b",
    ),
    (
        "prefer.first",
        Note,
        r"\b(before|prior\ to)\ (using|calling|invoking|running)\ (any|every|all)\ (other\ )?(tools?|functions?)\b",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_compile_and_no_two_have_the_same_name() {
        let ids: std::collections::HashSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), PATTERNS.len());
    }

    #[test]
    fn no_pattern_matches_nothing() {
        let empty: Vec<_> = RULES.iter().filter(|rule| rule.pattern.is_match(b"")).map(|rule| rule.id).collect();
        assert!(empty.is_empty(), "{empty:?}");
    }
}
