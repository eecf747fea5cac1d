//! What makes a machine run a command regularly: units for systemd, a line for cron.

/// A command that is to run regularly. No text in it has more than one line.
pub struct Timer<'a> {
    /// What the units are called.
    pub name: &'a str,
    /// What it does, in words.
    pub about: &'a str,
    /// Who runs it.
    pub user: &'a str,
    /// This program.
    pub program: &'a str,
    /// Its arguments.
    pub words: &'a [String],
    /// The folder it starts in.
    pub folder: &'a str,
    /// Variables it reads.
    pub env: &'a [(&'a str, String)],
    /// Whether it ends with 2 to say what it found.
    pub exits: bool,
}

/// Two units for systemd, one after the other, with where they go.
pub fn systemd(timer: &Timer<'_>, calendar: &str) -> String {
    let Timer { name, user, .. } = timer;
    // A percent sign stands for something to systemd; in an argument a dollar sign does, too.
    let plainly = |text: &str| text.replace('%', "%%");
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", plainly(&text))
    };
    let word = |text: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text.clone()
        } else {
            quoted(text).replace('$', "$$")
        }
    };
    let about = plainly(timer.about);
    let env = timer
        .env
        .iter()
        .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
    let env = env.collect::<Vec<_>>().concat();
    let exits = if timer.exits { "SuccessExitStatus=2\n" } else { "" };
    let words: Vec<_> = timer.words.iter().map(word).collect();
    format!(
        "# Another timer for this command and stack needs another name: --name NAME\n\
         # /etc/systemd/system/{name}.service\n\
         [Unit]\n\
         Description={about}\n\
         Wants=docker.service\n\
         After=docker.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         # With the home folder, and so the logins, of:\n\
         User={user}\n\
         UMask=0077\n\
         WorkingDirectory={}\n\
         {env}\
         # Parameters and secrets, one a line: DOLLOP_PARAM_name=value\n\
         EnvironmentFile=-/etc/dollop/{name}.env\n\
         {exits}\
         ExecStart={} {}\n\
         \n\
         # /etc/systemd/system/{name}.timer\n\
         [Unit]\n\
         Description={about}\n\
         \n\
         [Timer]\n\
         OnCalendar={calendar}\n\
         Persistent=true\n\
         RandomizedDelaySec=5m\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n\
         \n\
         # systemctl daemon-reload && systemctl enable --now {name}.timer\n",
        plainly(timer.folder),
        quoted(timer.program),
        words.join(" "),
    )
}

/// A line for a table of cron.
pub fn cron(timer: &Timer<'_>, when: &str) -> String {
    let quote = |text: &str| shell_words::quote(text).into_owned();
    let env = timer.env.iter().map(|(name, value)| format!("{name}={}", quote(value)));
    let words = timer.words.iter().map(|word| quote(word));
    let command: Vec<_> = env.chain([quote(timer.program)]).chain(words).collect();
    let line = format!("cd {} && {}", quote(timer.folder), command.join(" "));
    // Cron ends a line at a percent sign, unless there is a backslash before it, which it takes
    // away; a backslash before another it leaves. One that is ours gets quotes behind it: those
    // end and begin again what is quoted anyhow.
    let line = line.replace("\\%", "\\''%").replace('%', "\\%");
    format!("# {}\n{when} {line}\n", timer.about)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(words: &[&str]) -> (String, String) {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let timer = Timer {
            name: "dollop-backup-shop",
            about: "dollop backup of the stack shop",
            user: "ann",
            program: "/opt/my tools/dollop",
            words: &words,
            folder: "/srv/100%/shop",
            env: &[("DOLLOP_ENV", "prod".to_owned()), ("DOLLOP_PROFILES", "a,50%".to_owned())],
            exits: words[0] == "drift",
        };
        (systemd(&timer, "daily"), cron(&timer, "0 3 * * *"))
    }

    #[test]
    fn a_unit_quotes_what_systemd_would_read() {
        let (units, _) =
            made(&["backup", "--keep", "7", "--then", "cp \"$DOLLOP_BACKUP\" /a%b"]);
        let line = "ExecStart=\"/opt/my tools/dollop\" backup --keep 7 --then \
                    \"cp \\\"$$DOLLOP_BACKUP\\\" /a%%b\"\n";
        for line in [
            line,
            "WorkingDirectory=/srv/100%%/shop\n",
            "OnCalendar=daily\n",
            "User=ann\n",
            "Environment=\"DOLLOP_ENV=prod\"\nEnvironment=\"DOLLOP_PROFILES=a,50%%\"\n",
        ] {
            assert!(units.contains(line), "no {line} in {units}");
        }
        assert!(!units.contains("SuccessExitStatus"), "{units}");
        assert!(made(&["drift"]).0.contains("SuccessExitStatus=2\n"));
    }

    /// What cron gives its shell of a line, as `do_command.c` reads it.
    fn read_by_cron(line: &str) -> String {
        let (mut given, mut escaped) = (String::new(), false);
        for c in line.chars() {
            if escaped {
                if c == '%' {
                    given.pop();
                }
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == '%' {
                break;
            }
            given.push(c);
        }
        given
    }

    #[test]
    fn a_line_of_cron_quotes_what_its_shell_would_read() {
        let (_, line) = made(&["drift", "--then", "logger $x"]);
        let expected = "0 3 * * * cd '/srv/100\\%/shop' && DOLLOP_ENV=prod \
                        DOLLOP_PROFILES=";
        assert!(line.contains(expected), "{line}");
        for odd in ["a%b", "date +\\%F", "\\\\%", "\\", "it's \\'%", "%", "'%", "\\%%\\"] {
            let (_, line) = made(&["drift", "--then", odd]);
            let command = line.lines().nth(1).and_then(|line| line.strip_prefix("0 3 * * * "));
            let given = read_by_cron(command.expect("a line"));
            let words = shell_words::split(&given).expect("whole");
            assert_eq!(words[1], "/srv/100%/shop");
            assert_eq!(words[4], "DOLLOP_PROFILES=a,50%");
            assert_eq!(&words[6..], ["drift", "--then", odd], "{line}");
        }
    }
}
