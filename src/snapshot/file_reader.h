// Reads a snapshot's file, which may be cut short, damaged, newer, or made to harm: each gives a sentence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "snapshot/table.h"

namespace eidolon::snapshot {

class FileReader {
 public:
  /// The frame is whole when this returns; sections are looked at when they are asked for.
  static Result<FileReader> open(const std::string& path);
  /// The same of a file that is open; `name` is for sentences.
  static Result<FileReader> adopt(FileDescriptor file, const std::string& name);

  /// The same file, for another thread, whatever its name stands for by now.
  [[nodiscard]] Result<FileReader> duplicate() const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int file() const { return file_.get(); }
  [[nodiscard]] uint64_t length() const { return length_; }
  /// Of its contents: another snapshot has another one. (By the checksums of its sections.)
  [[nodiscard]] uint64_t identity() const { return identity_; }

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] Result<std::vector<uint8_t>> section(std::string_view name) const;
  /// [offset, offset + bytes.size()) of the file.
  [[nodiscard]] Result<> read(uint64_t offset, std::span<uint8_t> bytes) const;

 private:
  FileReader(std::string path, FileDescriptor file) : path_(std::move(path)), file_(std::move(file)) {}
  [[nodiscard]] const Section* find(std::string_view name) const;

  std::string path_;
  FileDescriptor file_;
  uint64_t length_ = 0;
  uint64_t identity_ = 0;
  std::vector<Section> sections_;
};

}  // namespace eidolon::snapshot
