//! The templates in the program, by language and name.

macro_rules! templates {
    ($($locale:literal { $($name:literal),* $(,)? })*) => {
        /// Language, name of the file, text.
        pub(super) const BUILT_IN: &[(&str, &str, &str)] = &[$(
            $(($locale, $name, include_str!(concat!("../../../templates/", $locale, "/", $name))),)*
        )*];
    };
}

templates! {
    "en" {
        "check_in_due.html",
        "check_in_due.short.txt",
        "check_in_due.subject.txt",
        "check_in_due.txt",
        "drill.txt",
        "otp.html",
        "otp.short.txt",
        "otp.subject.txt",
        "otp.txt",
        "sos_acknowledged.html",
        "sos_acknowledged.short.txt",
        "sos_acknowledged.subject.txt",
        "sos_acknowledged.txt",
        "sos_false_alarm.html",
        "sos_false_alarm.short.txt",
        "sos_false_alarm.subject.txt",
        "sos_false_alarm.txt",
        "sos_over.html",
        "sos_over.short.txt",
        "sos_over.subject.txt",
        "sos_over.txt",
        "sos_raised.html",
        "sos_raised.short.txt",
        "sos_raised.subject.txt",
        "sos_raised.txt",
        "sos_reminder.html",
        "sos_reminder.short.txt",
        "sos_reminder.subject.txt",
        "sos_reminder.txt",
        "trouble.html",
        "trouble.short.txt",
        "trouble.subject.txt",
        "trouble.txt",
        "twice.txt",
    }
    "fil" {
        "check_in_due.html",
        "check_in_due.short.txt",
        "check_in_due.subject.txt",
        "check_in_due.txt",
        "drill.txt",
        "otp.html",
        "otp.short.txt",
        "otp.subject.txt",
        "otp.txt",
        "sos_acknowledged.html",
        "sos_acknowledged.short.txt",
        "sos_acknowledged.subject.txt",
        "sos_acknowledged.txt",
        "sos_false_alarm.html",
        "sos_false_alarm.short.txt",
        "sos_false_alarm.subject.txt",
        "sos_false_alarm.txt",
        "sos_over.html",
        "sos_over.short.txt",
        "sos_over.subject.txt",
        "sos_over.txt",
        "sos_raised.html",
        "sos_raised.short.txt",
        "sos_raised.subject.txt",
        "sos_raised.txt",
        "sos_reminder.html",
        "sos_reminder.short.txt",
        "sos_reminder.subject.txt",
        "sos_reminder.txt",
        "trouble.html",
        "trouble.short.txt",
        "trouble.subject.txt",
        "trouble.txt",
        "twice.txt",
    }
}
