// Two sides that know each other by their certificates, and some that do not.
#include "migration/tls.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "migration/message.h"

namespace eidolon::migration {
namespace {

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;

/// Whether the message came, or why not.
Result<> hear(Connection& from, Kind kind) {
  const auto message = expect(from, kind);
  return message ? Result<>() : std::unexpected(message.error());
}

/// A folder as --tls names it, of one who vouches for himself.
class Identity {
 public:
  explicit Identity(const char* host) {
    std::string name = ::testing::TempDir() + "tlsXXXXXX";
    folder_ = mkdtemp(name.data());
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(host), -1,
                               -1, 0);
    X509_set_issuer_name(certificate.get(), subject);
    X509_EXTENSION* names =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, (std::string("DNS:") + host).c_str());
    X509_add_ext(certificate.get(), names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    write("key.pem", [&key](FILE* file) {
      PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    for (const char* file_name : {"cert.pem", "ca.pem"})
      write(file_name, [&certificate](FILE* file) { PEM_write_X509(file, certificate.get()); });
  }
  ~Identity() { std::filesystem::remove_all(folder_); }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// Takes it for vouched for.
  void trust(const Identity& other) const {
    std::filesystem::copy_file(other.folder() + "/cert.pem", folder_ + "/ca.pem",
                               std::filesystem::copy_options::overwrite_existing);
  }

 private:
  template <typename Writer>
  void write(const char* name, Writer writer) const {
    FILE* file = std::fopen((folder_ + "/" + name).c_str(), "w");
    ASSERT_NE(file, nullptr);
    writer(file);
    std::fclose(file);
  }
  std::string folder_;
};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() { std::signal(SIGPIPE, SIG_IGN); }
  /// What each side says of a message from `source` to `destination` by way of a port of this host: empty, or
  /// why not.
  struct Outcome {
    std::string source, destination;
  };
  static Outcome talk(const Identity& source, const Identity& destination, const std::string& host) {
    const auto never = *backend::Wakeup::create();
    const Tls listens = *Tls::load(destination.folder(), Tls::Side::kListens);
    const Tls connects = *Tls::load(source.folder(), Tls::Side::kConnects);
    const FileDescriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener.get(), generic, length), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    getsockname(listener.get(), generic, &length);
    Outcome outcome;
    std::thread there([&] {
      FileDescriptor accepted(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      auto connection = Connection::accepted(std::move(accepted), &listens, never);
      const Result<> got =
          connection ? hear(**connection, Kind::kState) : std::unexpected(connection.error());
      if (!got) outcome.destination = got.error().message;
      if (got) (void)send_message(**connection, Kind::kReady);
    });
    const Place place{
        .kind = Place::Kind::kTcp, .path = {}, .host = host, .port = std::to_string(ntohs(address.sin_port))};
    auto connection = Connection::connect(place, &connects, never);
    Result<> said = connection ? Result<>() : std::unexpected(connection.error());
    const std::vector<uint8_t> state(1 << 20, 7);
    if (said) said = send_message(**connection, Kind::kState, state);
    if (said) said = hear(**connection, Kind::kReady);
    if (connection) connection->reset();
    there.join();
    if (!said) outcome.source = said.error().message;
    return outcome;
  }
};

TEST_F(TlsTest, CarriesMessagesBetweenTwoWhoTrustEachOther) {
  const Identity one("localhost"), other("localhost");
  one.trust(other);
  other.trust(one);
  const Outcome outcome = talk(one, other, "localhost");
  EXPECT_EQ(outcome.source, "");
  EXPECT_EQ(outcome.destination, "");
}

TEST_F(TlsTest, RefusesWhoIsNotVouchedFor) {
  const Identity one("localhost"), other("localhost");
  one.trust(other);
  const Outcome unknown_source = talk(one, other, "localhost");
  EXPECT_NE(unknown_source.source, "");
  EXPECT_NE(unknown_source.destination.find("certificate"), std::string::npos) << unknown_source.destination;
  const Outcome unknown_destination = talk(other, one, "localhost");
  EXPECT_NE(unknown_destination.source.find("certificate"), std::string::npos) << unknown_destination.source;
}

TEST_F(TlsTest, RefusesAnotherName) {
  const Identity one("localhost"), other("elsewhere.example");
  one.trust(other);
  other.trust(one);
  EXPECT_NE(talk(one, other, "localhost").source.find("certificate"), std::string::npos);
}

TEST_F(TlsTest, AFolderWithoutCertificatesIsASentence) {
  const auto missing = Tls::load("/nowhere", Tls::Side::kConnects);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nowhere/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace eidolon::migration
